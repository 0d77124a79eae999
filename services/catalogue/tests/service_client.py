"""Publishes events and sends queries to a running catalogue, as other services do."""

from faststream.nats import NatsBroker

from k1_contracts.descriptors import Q, Query, R
from k1_contracts.messages.analysis import ANALYSIS_COMPLETED, ANALYSIS_STARTED
from k1_contracts.messages.catalogue.tracks import TRACK_GET, TRACK_UPLOADED, GetTrack
from k1_platform.nats.queries import rpc
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.streams.publisher import publish
from k1_platform.storage.objects import ObjectStore
from services.catalogue.tests.song_samples import Song
from tests.support.waiting import PATIENCE_S, eventually


async def request(bus: NatsBroker, query: Query[Q, R], body: Q) -> R:
    """Return the response to a query, also from a slow service."""
    return await rpc.request(bus, query, body, timeout_s=PATIENCE_S)


async def publish_analysis(bus: NatsBroker, song: Song, objects: ObjectStore) -> None:
    """Publish the events of a song from its upload to its completed analysis."""
    await publish(bus, TRACK_UPLOADED, song.uploaded(), source="test")
    await publish(bus, ANALYSIS_STARTED, song.started(), source="test")
    await publish(bus, ANALYSIS_COMPLETED, await song.analysed(objects), source="test")


async def wait_for_status(bus: NatsBroker, song: Song, status: str) -> None:
    """Wait until the catalogue gives the track this status."""
    await eventually(lambda: _has_status(bus, song, status), f"the track {song.track_id} is {status}")


async def _has_status(bus: NatsBroker, song: Song, status: str) -> bool:
    """Return whether the catalogue knows the track and gives it this status."""
    try:
        detail = await request(bus, TRACK_GET, GetTrack(track_id=song.track_id))
    except QueryError:
        return False
    return detail.track.status == status
