"""Tests that the type checker refuses a handler, a caller or a publisher whose models are not those of the message."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = """
from faststream.nats import NatsBroker

from k1_contracts.descriptors import Publication
from k1_contracts.messages.analysis import JOB_GET, AnalysisCompleted, GetJob, JobView
from k1_contracts.messages.catalogue.tracks import (
    GENESIS_GET, TRACK_GET, TRACK_LIST, TRACK_UPLOADED, GetTrack, ListTracks, TrackDetail, TrackPage, TrackUploaded,
)
from k1_platform.nats.queries.rpc import QueryHandler, request, respond
from k1_platform.nats.queries.rpc_documents import Document, respond_with_document
from k1_platform.nats.streams.consumers import Delivery, Handler
from k1_platform.nats.streams.publisher import publish
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection


async def on_uploaded(_: Delivery[TrackUploaded]) -> None: ...
async def on_completed(_: Delivery[AnalysisCompleted]) -> None: ...
async def list_tracks(_: ListTracks) -> TrackPage: ...
async def get_track(_: GetTrack) -> TrackDetail: ...
async def get_document(_: GetTrack) -> Document: ...


async def use(
    broker: NatsBroker, connection: Connection, uploaded: TrackUploaded, completed: AnalysisCompleted
) -> None:
    Handler(TRACK_UPLOADED, on_uploaded)
    Handler(TRACK_UPLOADED, on_completed)  # refused: another event
    respond(broker, [QueryHandler(TRACK_LIST, list_tracks)])
    QueryHandler(TRACK_LIST, get_track)  # refused: another query
    page: TrackPage = await request(broker, TRACK_LIST, ListTracks())
    other: JobView = await request(broker, TRACK_LIST, ListTracks())  # refused: another response
    await request(broker, JOB_GET, GetTrack(track_id="trk"))  # refused: another request
    await request(broker, GENESIS_GET, GetTrack(track_id="trk"))  # refused: its response is a document
    respond_with_document(broker, GENESIS_GET, get_document)  # refused: another request
    await publish(broker, TRACK_UPLOADED, uploaded, source="ingest")
    await publish(broker, TRACK_UPLOADED, completed, source="ingest")  # refused: another body
    await enqueue(connection, "catalogue", TRACK_UPLOADED, completed, source="catalogue")  # refused: another body
    Publication(TRACK_UPLOADED, completed)  # refused: another body
    print(page, other, TRACK_GET, GetJob)
"""


def test_the_type_checker_refuses_wrong_pairings(tmp_path: Path) -> None:
    """Pyright reports an error in exactly the lines that pair a message with another message's models."""
    (tmp_path / "pairings.py").write_text(PROGRAM, encoding="utf-8")
    configuration = {
        "include": ["pairings.py"],
        "typeCheckingMode": "basic",
        "venvPath": str(ROOT),
        "venv": ".venv",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(configuration), encoding="utf-8")
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--outputjson",
            "--project",
            str(tmp_path),
            "--pythonpath",
            sys.executable,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(checked.stdout)
    refused = {
        each["range"]["start"]["line"] for each in report["generalDiagnostics"] if each["severity"] == "error"
    }
    expected = {number for number, line in enumerate(PROGRAM.splitlines()) if re.search(r"# refused", line)}
    assert refused == expected, report["generalDiagnostics"]
