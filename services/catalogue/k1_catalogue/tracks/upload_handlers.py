"""Handles the events of tracks whose song is on its way."""

from dataclasses import dataclass

from k1_catalogue.database import is_first_delivery
from k1_catalogue.tracks import store
from k1_contracts.ids import derived_id
from k1_contracts.messages.track_uploads import TRACK_CREATED, TrackCreated, TrackUploadAbandoned
from k1_platform.nats.consumers import Delivery
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class TrackUploadHandlers:
    """Adds and removes tracks without a song."""

    pool: Pool

    async def handle_created(self, message: Delivery[TrackCreated]) -> None:
        """Add the track, unless its song has arrived already."""
        async with self.pool.acquire() as connection, connection.transaction():
            if await is_first_delivery(connection, message.envelope.id):
                await store.insert_expected_track(connection, message.body)

    async def handle_abandoned(self, message: Delivery[TrackUploadAbandoned]) -> None:
        """Remove the track. Its creation counts as handled, in case that it is delivered after this."""
        track_id = message.body.track_id
        async with self.pool.acquire() as connection, connection.transaction():
            if await is_first_delivery(connection, message.envelope.id):
                await is_first_delivery(connection, derived_id("evt", TRACK_CREATED.subject, track_id))
                await store.delete_expected_track(connection, track_id)
