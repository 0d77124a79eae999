"""Tests of the catalogue as a process with real servers."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from faststream.nats import NatsBroker
from nats.js import JetStreamContext

from k1_contracts import streams
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    ANALYSIS_COMPLETED,
    ANALYSIS_REQUEST,
    ANALYSIS_REQUESTED,
    JOB_GET,
    GetJob,
    RequestAnalysis,
    RequestTrackAnalysis,
)
from k1_contracts.messages.catalogue.tracks import (
    GENESIS_GET,
    TRACK_GET,
    TRACK_LIST,
    TRACK_UPLOADED,
    GetGenesis,
    GetTrack,
    ListTracks,
)
from k1_contracts.messages.deploy.deployments import DEPLOY_SUCCEEDED, DeploySucceeded
from k1_platform.nats.dead_letters.queue import DeadLetter, list_dead_letters
from k1_platform.nats.queries.rpc_documents import request_document
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.service_client import publish, publish_analysis, request, wait_for_status
from services.catalogue.tests.song_samples import Song, genesis
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually


@pytest.fixture(scope="module")
def catalogue(
    empty_streams: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A running catalogue process."""
    folder = tmp_path_factory.mktemp("catalogue")
    with running_service("catalogue", empty_streams.environment, folder) as running:
        yield running


async def test_readiness_and_metrics(catalogue: RunningService) -> None:
    """Readiness checks every dependency; the metrics have the gauges, which follow the tables."""
    async with httpx.AsyncClient(base_url=catalogue.url, timeout=PATIENCE_S) as http:

        async def ready() -> bool:
            response = await http.get("/readyz")
            assert set(response.json()["checks"]) == {"nats", "postgres", "mongo", "objects", "durable"}
            return response.status_code == 200 and set(response.json()["checks"].values()) == {"ok"}

        async def all_published() -> bool:
            return "k1_catalogue_outbox_events 0.0" in (await http.get("/metrics")).text

        await eventually(ready, "every dependency is ready")
        await eventually(all_published, "the outbox is empty")


async def test_queries_after_the_events_of_a_song(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """After the events on the stream, the queries return the track, its list entry and its map."""
    song = Song()
    await publish_analysis(bus, song, objects)
    await wait_for_status(bus, song, "ready")
    page = await request(bus, TRACK_LIST, ListTracks(search="night drive", limit=200))
    assert song.track_id in {item.id for item in page.items}
    query = GetGenesis(track_id=song.track_id, version=1)
    document = await request_document(bus, GENESIS_GET, query, timeout_s=PATIENCE_S)
    assert genesis() == json.loads(document.json())
    known = query.model_copy(update={"etag": document.etag})
    again = await request_document(bus, GENESIS_GET, known, timeout_s=PATIENCE_S)
    assert again.body is None


def succeeded(song: Song) -> DeploySucceeded:
    """Return the event of a deployment of the song."""
    return DeploySucceeded(
        deployment_id=new_id("dep"), track_id=song.track_id, version=1, at=song.uploaded_at, devices=[]
    )


async def test_a_track_lists_a_deployment_after_its_event(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """The detail of a track lists a deployment after its event on the stream."""
    song = Song()
    await publish_analysis(bus, song, objects)
    event = succeeded(song)
    await publish(bus, DEPLOY_SUCCEEDED, event, source="test")

    async def is_listed() -> bool:
        detail = await request(bus, TRACK_GET, GetTrack(track_id=song.track_id))
        return [(each.id, each.status) for each in detail.deployments] == [(event.deployment_id, "succeeded")]

    await wait_for_status(bus, song, "ready")
    await eventually(is_listed, "the deployment is listed")


async def test_events_of_unknown_tracks_do_not_block_others(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore
) -> None:
    """Hundreds of such events are redelivered, and a song is processed meanwhile."""
    unknown = [succeeded(Song()) for _ in range(300)]
    await asyncio.gather(*(publish(bus, DEPLOY_SUCCEEDED, event, source="test") for event in unknown))
    song = Song()
    await publish_analysis(bus, song, objects)
    await wait_for_status(bus, song, "ready")


async def test_a_requested_analysis_is_published_as_command(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore, jetstream: JetStreamContext
) -> None:
    """The outbox publishes the command, and the job is queued."""
    song = Song()
    await publish_analysis(bus, song, objects)
    await wait_for_status(bus, song, "ready")
    subscription = await jetstream.subscribe(ANALYSIS_REQUESTED.subject, stream=streams.EVENTS)
    accepted = await request(bus, ANALYSIS_REQUEST, RequestTrackAnalysis(track_id=song.track_id))
    while True:
        message = await subscription.next_msg(timeout=PATIENCE_S)
        command = RequestAnalysis.model_validate_json(message.data)
        if command.job_id == accepted.job_id:
            break
    assert (command.track_id, command.version) == (song.track_id, 2)
    view = await request(bus, JOB_GET, GetJob(job_id=accepted.job_id))
    assert view.status == "queued"
    await subscription.unsubscribe()


async def test_an_invalid_completion_becomes_a_dead_letter(
    catalogue: RunningService, bus: NatsBroker, objects: ObjectStore, jetstream: JetStreamContext
) -> None:
    """An invalid map fails the job, and the message becomes a dead letter with the reason."""
    song = Song()
    await publish(bus, TRACK_UPLOADED, song.uploaded(), source="test")
    invalid = song.completed([await song.artefact(objects, "genesis_map", "track.genesis.json", b"{}")])
    await publish(bus, ANALYSIS_COMPLETED, invalid, source="test")
    letters_of_job: list[DeadLetter] = []

    async def is_dead_letter() -> bool:
        letters = await list_dead_letters(jetstream)
        letters_of_job.extend(letter for letter in letters if song.job_id.encode() in letter.body)
        return bool(letters_of_job)

    await eventually(is_dead_letter, "a dead letter of the job")
    assert letters_of_job[0].code == "genesis_invalid"
    await wait_for_status(bus, song, "failed")
