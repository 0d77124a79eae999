"""Publishes events and sends queries to a running catalogue, as other services do."""

from typing import TypeVar

from faststream.nats import NatsBroker

from k1_contracts import streams, subjects
from k1_contracts.base import Contract
from k1_contracts.messages.tracks import GetTrack, TrackDetail
from k1_platform.nats import rpc
from k1_platform.nats.client import make_event, publish_event
from k1_platform.nats.rpc import QueryError
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.song_samples import Song
from tests.support.waiting import PATIENCE_S, eventually

R = TypeVar("R", bound=Contract)


async def request(bus: NatsBroker, subject: str, query: Contract, response: type[R]) -> R:
    """Return the response to a query, also from a slow service."""
    return await rpc.request(bus, subject, query, response, timeout_s=PATIENCE_S)


async def publish(bus: NatsBroker, subject: str, body: Contract, about: str) -> None:
    """Publish an event on the stream."""
    envelope, data = make_event(subject, body, source="test", about=about)
    await publish_event(bus, subject, envelope, data, stream=streams.EVENTS)


async def publish_analysis(bus: NatsBroker, song: Song, objects: ObjectStore) -> None:
    """Publish the events of a song from its upload to its completed analysis."""
    await publish(bus, subjects.TRACK_UPLOADED, song.uploaded(), song.track_id)
    await publish(bus, subjects.ANALYSIS_STARTED, song.started(), song.job_id)
    await publish(bus, subjects.ANALYSIS_COMPLETED, await song.analysed(objects), song.job_id)


async def wait_for_status(bus: NatsBroker, song: Song, status: str) -> None:
    """Wait until the catalogue gives the track this status."""
    await eventually(lambda: _has_status(bus, song, status), f"the track {song.track_id} is {status}")


async def _has_status(bus: NatsBroker, song: Song, status: str) -> bool:
    """Return whether the catalogue knows the track and gives it this status."""
    try:
        detail = await request(bus, subjects.RPC_TRACK_GET, GetTrack(track_id=song.track_id), TrackDetail)
    except QueryError:
        return False
    return detail.track.status == status
