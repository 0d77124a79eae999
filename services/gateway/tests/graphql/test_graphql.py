"""GraphQL: the same data as over HTTP, in few requests to the services, within limits, with the codes of errors."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import httpx
import pytest
from graphql import parse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from k1_contracts.messages.analysis import (
    ANALYSIS_REQUEST,
    JOB_CANCEL,
    JOB_GET,
    JOB_RETRY,
    AnalysisAccepted,
    GetJob,
    RequestTrackAnalysis,
    RetryJob,
)
from k1_contracts.messages.catalogue.beats import BEAT_OVERRIDE_SAVE, BeatOverrideSaved, SaveBeatOverride
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY, SetJobPriority
from k1_contracts.messages.catalogue.similar import TRACK_SIMILAR, SimilarTracks
from k1_contracts.messages.catalogue.track_edits import TRACK_EDIT, EditTrack
from k1_contracts.messages.catalogue.track_history import TRACK_HISTORY, TrackHistory
from k1_contracts.messages.catalogue.tracks import (
    TRACK_DETAILS,
    TRACK_GET,
    TRACK_LIST,
    VERSION_GET,
    GetTracks,
    TrackDetails,
)
from k1_contracts.messages.drift import TRACK_DRIFT, GetDrift, TrackDrift
from k1_contracts.messages.telemetry_history import TRACK_TELEMETRY, GetTrackTelemetry, TelemetrySeries
from k1_gateway.graphql.limits import MAX_COST, MAX_DEPTH, measure
from k1_gateway.graphql.schema import SCHEMA
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from tests.support.service_process import RunningService

URL = "/api/v1/graphql"
SONG = samples.track().track.id
ROOT = Path(__file__).parents[4]
M = TypeVar("M", bound=BaseModel)
EVERYTHING = """
query($id: ID!) {
  track(id: $id) {
    id title artist bpm status tags notes filename revision audio { sha256 duration_ms }
    current { version status metrics artefacts { type name status url size_bytes } job { status percent } }
    versions { version engine summary { bpm beat_count } warnings { code } }
    jobs { job_id status track { id } }
    history(limit: 5) { total items { action actor { name } before after } }
    deployments { id status }
    similar(limit: 3) { method items { distance why track { id title } } }
    same_recording_as { id }
  }
}
"""


def several_tracks(count: int) -> TrackDetails:
    """Return the same track under several ids."""
    detail = samples.track()
    items = [
        detail.model_copy(update={"track": detail.track.model_copy(update={"id": track_id(number)})})
        for number in range(count)
    ]
    return TrackDetails(items=items)


def track_id(number: int) -> str:
    """Return an id."""
    return f"trk_{number:026d}"


async def ask(http: httpx.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
    """Run a document and return the response."""
    response = await http.post(URL, json={"query": query, "variables": variables})
    assert response.status_code == 200, response.text
    return response.json()


def golden(model: type[M]) -> M:
    """Return the golden example of a model."""
    path = ROOT / "libs/contracts/tests/golden" / model.__name__ / "v1.json"
    return model.model_validate_json(path.read_text("utf-8"))


def respond(owners: Owners) -> None:
    """Let the services answer with their samples."""
    owners.respond_with(TRACK_DETAILS.subject, TrackDetails(items=[samples.track()]))
    owners.respond_with(TRACK_GET.subject, samples.track())
    owners.respond_with(VERSION_GET.subject, samples.version())
    owners.respond_with(JOB_GET.subject, samples.job().model_copy(update={"track_id": SONG}))
    owners.respond_with(TRACK_HISTORY.subject, TrackHistory(total=0, items=[]))
    owners.respond_with(TRACK_SIMILAR.subject, SimilarTracks(items=[], method="exact", searched=1))


async def test_one_query_reads_a_whole_track(http: httpx.AsyncClient, owners: Owners) -> None:
    """The values are those of the HTTP API, and each thing is requested once."""
    respond(owners)
    answer = await ask(http, EVERYTHING, id=SONG)
    assert "errors" not in answer, answer
    found = answer["data"]["track"]
    asked = Counter(type(query).__name__ for query in owners.received)
    assert asked["GetTracks"] == 1
    assert max(asked.values()) <= len(samples.track().versions)
    rest = (await http.get(f"/api/v1/tracks/{SONG}")).json()
    for name in ("id", "title", "artist", "bpm", "status", "tags", "filename"):
        assert found[name] == rest["track"].get(name)
    assert [each["version"] for each in found["versions"]] == [each["version"] for each in rest["versions"]]
    assert found["current"]["metrics"] == samples.version().metrics


async def test_a_track_leads_to_its_telemetry_and_drift(http: httpx.AsyncClient, owners: Owners) -> None:
    """The drift is that of the version in use; a wrong argument is named and the rest is answered."""
    respond(owners)
    owners.respond_with(TRACK_TELEMETRY.subject, golden(TelemetrySeries))
    owners.respond_with(TRACK_DRIFT.subject, golden(TrackDrift))
    query = """query($id: ID!) { track(id: $id) {
        telemetry(last: 600, max_points: 50) { readings series { field p95 } }
        wrong: telemetry(step: 0) { readings }
        drift { plays sections { label figures { mean_ms } } suggestions { action reason } }
    } }"""
    answer = await ask(http, query, id=SONG)
    found = answer["data"]["track"]
    assert found["telemetry"] == {"readings": 50, "series": [{"field": "drift_ms", "p95": [5.0]}]}
    assert found["drift"]["sections"] == [{"label": "intro", "figures": {"mean_ms": 41.5}}]
    assert found["drift"]["suggestions"][0]["action"] == "beat_edit"
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["track", "wrong"], "invalid_argument")
    version = samples.track().track.current_version
    assert version is not None
    assert GetDrift(track_id=SONG, version=version) in owners.received
    assert GetTrackTelemetry(track_id=SONG, last=600, max_points=50) in owners.received


async def test_a_list_needs_one_batch(http: httpx.AsyncClient, owners: Owners) -> None:
    """Fifty tracks with nested fields cost two requests: the list, and the details of all."""
    owners.respond_with(TRACK_LIST.subject, samples.page(50).model_copy(
        update={"items": [track.model_copy(update={"id": track_id(n)}) for n, track in enumerate(samples.page(50).items)]}
    ))  # fmt: skip
    owners.respond_with(TRACK_DETAILS.subject, several_tracks(50))
    query = "{ tracks(limit: 50) { total items { id notes filename versions { version } deployments { status } } } }"
    data = (await ask(http, query))["data"]["tracks"]
    assert len(data["items"]) == 50
    assert [type(asked).__name__ for asked in owners.received] == ["ListTracks", "GetTracks"]
    assert isinstance(owners.received[1], GetTracks)
    assert len(owners.received[1].track_ids) == 50


async def test_errors_carry_their_codes(http: httpx.AsyncClient, owners: Owners) -> None:
    """A missing track, wrong arguments, and a service that fails: the rest of the document is answered."""
    owners.respond_with(TRACK_DETAILS.subject, TrackDetails(items=[]))
    owners.respond_with(JOB_GET.subject, QueryError("job_not_found", "There is no job.", 404))
    owners.respond_with(TRACK_LIST.subject, samples.page())
    query = (
        "query($id: ID!, $job: ID!) { track(id: $id) { title } job(id: $job) { status } tracks { total } }"
    )
    answer = await ask(http, query, id=SONG, job=samples.JOB)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"track_not_found", "job_not_found"}
    assert answer["data"] == {"track": None, "job": None, "tracks": {"total": 1}}
    wrong = await ask(http, '{ tracks(limit: 5000, sort: "loudest") { total } }')
    assert wrong["errors"][0]["extensions"]["code"] == "invalid_argument"
    assert "limit" in wrong["errors"][0]["message"]
    assert (await ask(http, "{ nothing }"))["errors"][0]["extensions"]["code"] == "invalid_query"
    assert (await ask(http, "{ tracks {"))["errors"]


async def test_a_fault_of_ours_is_not_shown(http: httpx.AsyncClient, owners: Owners) -> None:
    """A service that answers nonsense gives a general message."""
    owners.respond_with(TRACK_LIST.subject, samples.track())
    answer = await ask(http, "{ tracks { total } }")
    assert answer["errors"][0]["message"] == "The gateway failed; it was logged."


async def test_mutations(http: httpx.AsyncClient, owners: Owners) -> None:
    """Absent fields stay, null clears, the revision guards; a new analysis is queued."""
    owners.respond_with(TRACK_EDIT.subject, samples.track())
    edit = 'mutation($id: ID!) { edit_track(id: $id, changes: {title: "New", artist: null}, if_match: 3) { id title } }'
    assert (await ask(http, edit, id=SONG))["data"]["edit_track"]["id"] == SONG
    assert owners.received == [EditTrack(track_id=SONG, title="New", clear=["artist"], if_match=["3"])]
    owners.respond_with(
        ANALYSIS_REQUEST.subject, AnalysisAccepted(job_id=samples.JOB, version=2, queue_position=1)
    )
    again = "mutation($id: ID!) { analyse_track(id: $id, priority: 9) { job_id version } }"
    assert (await ask(http, again, id=SONG))["data"]["analyse_track"]["version"] == 2
    assert owners.received[1] == RequestTrackAnalysis(track_id=SONG, priority=9)
    golden = samples.GOLDEN / "BeatOverrideSaved" / "v1.json"
    owners.respond_with(BEAT_OVERRIDE_SAVE.subject, BeatOverrideSaved.model_validate_json(golden.read_text()))
    save = 'mutation($id: ID!) { save_beats(id: $id, version: 1, beats_ms: [1, 2.5], if_match: "e") { version status } }'
    assert (await ask(http, save, id=SONG))["data"]["save_beats"]["status"] == "ready"
    assert owners.received[2] == SaveBeatOverride(track_id=SONG, version=1, beats_ms=[1, 2.5], if_match=["e"])
    deploy = await ask(http, "mutation { deploy(order: [1]) { deployment_id } }")
    assert deploy["errors"][0]["extensions"]["code"] == "invalid_argument"


async def test_mutations_of_jobs(http: httpx.AsyncClient, owners: Owners) -> None:
    """Retry, cancel and set the priority; the codes of refusals are those of HTTP."""
    job = samples.JOB
    owners.respond_with(JOB_RETRY.subject, AnalysisAccepted(job_id=job, version=2, queue_position=1))
    retry = 'mutation($id: ID!) { retry_job(id: $id, key: "once") { version } }'
    assert (await ask(http, retry, id=job))["data"]["retry_job"] == {"version": 2}
    owners.respond_with(JOB_SET_PRIORITY.subject, samples.job("queued"))
    move = "mutation($id: ID!) { set_job_priority(id: $id, priority: 9) { status } }"
    assert (await ask(http, move, id=job))["data"]["set_job_priority"] == {"status": "queued"}
    owners.respond_with(JOB_CANCEL.subject, QueryError("job_ended", "It is too late.", 409))
    cancel = "mutation($id: ID!) { cancel_job(id: $id) { status } }"
    assert (await ask(http, cancel, id=job))["errors"][0]["extensions"] == {
        "code": "job_ended",
        "status": 409,
    }
    assert owners.received == [
        RetryJob(job_id=job, idempotency_key="once"),
        SetJobPriority(job_id=job, priority=9),
        GetJob(job_id=job),
    ]
    wrong = await ask(http, move.replace("9", "11"), id=job)
    assert wrong["errors"][0]["extensions"]["code"] == "invalid_argument"


async def test_a_job_that_is_not_kept_any_more_is_left_out(http: httpx.AsyncClient, owners: Owners) -> None:
    """The other fields of the track and of its versions are there."""
    owners.respond_with(TRACK_DETAILS.subject, TrackDetails(items=[samples.track()]))
    owners.respond_with(JOB_GET.subject, QueryError("job_not_found", "There is no such job.", 404))
    query = "query($id: ID!) { track(id: $id) { title jobs { status } versions { version job { status } } } }"
    answer = await ask(http, query, id=SONG)
    assert answer["data"]["track"]["jobs"] == []
    assert {version["job"] for version in answer["data"]["track"]["versions"]} == {None}
    owners.respond_with(JOB_GET.subject, QueryError("service_timeout", "Try again.", 504))
    answer = await ask(http, query, id=SONG)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"service_timeout"}


@pytest.mark.parametrize(
    "query",
    [
        "{ tracks(limit: 200) { items { versions { artefacts { name } job { track { versions { version } } } } } } }",
        "{" + "track(id: 1) { jobs { " * 8 + "status" + "} }" * 8 + "}",
        "{" + " ".join(f"t{n}: tracks {{ total }}" for n in range(40)) + "}",
        "{ tracks { total } ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
        "{ tracks { total } }" + " #" * 12_000,
        "{" + "tracks { total } " * 700 + "}",
        "{ a: tracks(limit: 200) { items { history(limit: 100) { items { id } } } } }",
    ],
    ids=["wide", "deep", "aliases", "cycle", "long", "tokens", "nested lists"],
)
async def test_hostile_documents_are_refused(http: httpx.AsyncClient, owners: Owners, query: str) -> None:
    """Each is refused before anything is read."""
    response = await http.post(URL, json={"query": query})
    assert response.status_code == 422 or response.json()["errors"], response.text
    assert owners.received == []


async def test_batches_and_other_bodies_are_refused(http: httpx.AsyncClient) -> None:
    """A list of documents, and fields that do not exist, are problems of the body."""
    for body in ([{"query": "{ tracks { total } }"}], {"query": "{ x }", "extra": 1}, {"variables": {}}):
        assert (await http.post(URL, json=body)).status_code == 422
    assert (await http.get(URL)).status_code == 426


names = st.sampled_from(["a", "tracks", "items", "versions", "artefacts", "history"])
fields = st.recursive(
    names, lambda inner: st.builds(lambda name, body: f"{name} {{ {' '.join(body)} }}", names, st.lists(inner, min_size=1, max_size=4)), max_leaves=30
)  # fmt: skip


@given(st.lists(fields, min_size=1, max_size=4), st.integers(1, 50))
def test_cost_grows_with_what_is_asked(body: list[str], limit: int) -> None:
    """More fields and longer lists never cost less, and the counting ends."""
    document = "{ " + " ".join(body) + " }"
    cost = measure(parse(document), {})
    more = measure(parse(f"{{ tracks(limit: {limit}) {document} }}"), {})
    assert cost.fields >= 1
    if cost.fields * limit < MAX_COST and cost.depth < MAX_DEPTH:
        assert more.fields == 1 + limit * cost.fields
        assert more.depth == cost.depth + 1
    by_variable = measure(parse(f"query($n: Int) {{ tracks(limit: $n) {document} }}"), {"n": limit})
    assert by_variable == more


def test_the_committed_schema_is_the_running_one() -> None:
    """`python -m k1_gateway.graphql docs/schema.graphql` writes it."""
    assert (ROOT / "docs" / "schema.graphql").read_text("utf-8") == SCHEMA.as_str() + "\n"


async def test_the_page_loads_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    """Its policy allows only its own files, and each of them is there."""
    page = await http.get("/graphql")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("page.js", "page.css", "schema.graphql"):
        assert (await http.get(f"/graphql/{name}")).status_code == 200
    assert "<script>" not in page.text


async def test_a_job_is_watched_until_it_ends(gateway: RunningService, owners: Owners) -> None:
    """The subscription sends the job at once, and ends with it."""
    owners.respond_with(JOB_GET.subject, samples.job("completed", 100))
    async with aiohttp.ClientSession() as session:
        url = gateway.url.replace("http", "ws") + URL
        async with session.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
            await socket.send_json({"type": "connection_init"})
            assert (await socket.receive_json())["type"] == "connection_ack"
            query = f'subscription {{ job(id: "{samples.JOB}") {{ status percent }} }}'
            await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
            messages = [await asyncio.wait_for(socket.receive_json(), 30) for _ in range(2)]
    assert messages[0]["payload"]["data"]["job"] == {"status": "completed", "percent": 100}
    assert messages[1]["type"] == "complete"


async def test_a_page_of_another_origin_opens_no_subscription(gateway: RunningService) -> None:
    """A WebSocket carries cookies, and CORS does not guard it."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(
                gateway.url.replace("http", "ws") + URL,
                protocols=("graphql-transport-ws",),
                headers={"Origin": "https://evil.example"},
            )
    assert refused.value.status == 403
