"""The catalogue as a real process on a real bus."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from faststream.nats import NatsBroker
from nats.js import JetStreamContext

from k1_contracts import streams, subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    AnalysisAccepted,
    GetJob,
    JobView,
    RequestAnalysis,
    RequestTrackAnalysis,
)
from k1_contracts.messages.deployments import DeploySucceeded
from k1_contracts.messages.tracks import GetGenesis, GetTrack, ListTracks, TrackDetail, TrackPage
from k1_platform.dead_letter_queue import DeadLetter, list_dead_letters
from k1_platform.objects import ObjectStore
from k1_platform.rpc_documents import ask_document
from services.catalogue.tests.bus import ask, has_status, tell, tell_all, until
from services.catalogue.tests.conftest import PATIENCE_S
from services.catalogue.tests.songs import Song, genesis
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture(scope="module")
def catalogue(
    nothing_told: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A running catalogue."""
    folder = tmp_path_factory.mktemp("catalogue")
    with running_service("catalogue", nothing_told.environment, folder) as running:
        yield running


async def test_it_is_ready_and_measured(catalogue: RunningService) -> None:
    """Readiness asks every dependency; the gauges are among the metrics, and follow."""
    async with httpx.AsyncClient(base_url=catalogue.url, timeout=PATIENCE_S) as http:

        async def ready() -> bool:
            answer = await http.get("/readyz")
            assert set(answer.json()["checks"]) == {"nats", "postgres", "mongo", "objects", "durable"}
            return answer.status_code == 200 and set(answer.json()["checks"].values()) == {"ok"}

        async def all_published() -> bool:
            return "k1_catalogue_outbox_events 0.0" in (await http.get("/metrics")).text

        await until(ready)
        await until(all_published)


async def test_from_the_bus_and_back(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """Facts told on the stream are answered from: the track, its list entry and its map."""
    song = Song()
    await tell_all(bus, song, objects)
    await until(lambda: has_status(bus, song, "ready"))
    page = await ask(bus, subjects.RPC_TRACK_LIST, ListTracks(search="night drive", limit=200), TrackPage)
    assert song.track_id in {item.id for item in page.items}
    asked = GetGenesis(track_id=song.track_id, version=1)
    found = await ask_document(bus, subjects.RPC_GENESIS_GET, asked, timeout_s=PATIENCE_S)
    assert genesis() == json.loads(found.json())
    known = asked.model_copy(update={"etag": found.etag})
    again = await ask_document(bus, subjects.RPC_GENESIS_GET, known, timeout_s=PATIENCE_S)
    assert again.body is None


def succeeded(song: Song) -> DeploySucceeded:
    """A deployment of the song."""
    return DeploySucceeded(
        deployment_id=new_id("dep"), track_id=song.track_id, version=1, at=song.uploaded_at, devices=[]
    )


async def test_a_deployment_reaches_its_track(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """What deploy tells on the stream stands on the track's page."""
    song = Song()
    await tell_all(bus, song, objects)
    told = succeeded(song)
    await tell(bus, subjects.DEPLOY_SUCCEEDED, told, told.deployment_id)

    async def listed() -> bool:
        detail = await ask(bus, subjects.RPC_TRACK_GET, GetTrack(track_id=song.track_id), TrackDetail)
        return [(each.id, each.status) for each in detail.deployments] == [(told.deployment_id, "succeeded")]

    await until(lambda: has_status(bus, song, "ready"))
    await until(listed)


async def test_facts_of_unknown_tracks_hold_up_no_other(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """They come again and again, hundreds of them, and a song is catalogued meanwhile."""
    strangers = [succeeded(Song()) for _ in range(300)]
    await asyncio.gather(*(tell(bus, subjects.DEPLOY_SUCCEEDED, one, one.deployment_id) for one in strangers))
    song = Song()
    await tell_all(bus, song, objects)
    await until(lambda: has_status(bus, song, "ready"))


async def test_a_request_reaches_the_workers(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore, jetstream: JetStreamContext
) -> None:
    """The outbox publishes the command, and the job waits."""
    song = Song()
    await tell_all(bus, song, objects)
    await until(lambda: has_status(bus, song, "ready"))
    subscription = await jetstream.subscribe(subjects.ANALYSIS_REQUESTED, stream=streams.EVENTS)
    accepted = await ask(
        bus, subjects.RPC_ANALYSIS_REQUEST, RequestTrackAnalysis(track_id=song.track_id), AnalysisAccepted
    )
    while True:
        message = await subscription.next_msg(timeout=PATIENCE_S)
        command = RequestAnalysis.model_validate_json(message.data)
        if command.job_id == accepted.job_id:
            break
    assert (command.track_id, command.version) == (song.track_id, 2)
    view = await ask(bus, subjects.RPC_JOB_GET, GetJob(job_id=accepted.job_id), JobView)
    assert view.status == "queued"
    await subscription.unsubscribe()


async def test_a_poisonous_completion_is_dead_lettered(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore, jetstream: JetStreamContext
) -> None:
    """A map that is none ends the job as failed, and the message waits with its reason to be driven anew."""
    song = Song()
    await tell(bus, subjects.TRACK_UPLOADED, song.uploaded(), song.track_id)
    spoilt = song.completed([await song.artefact(objects, "genesis_map", "track.genesis.json", b"{}")])
    await tell(bus, subjects.ANALYSIS_COMPLETED, spoilt, song.job_id)
    found: list[DeadLetter] = []

    async def buried() -> bool:
        letters = await list_dead_letters(jetstream)
        found.extend(letter for letter in letters if song.job_id.encode() in letter.body)
        return bool(found)

    await until(buried)
    assert found[0].code == "genesis_invalid"
    await until(lambda: has_status(bus, song, "failed"))
