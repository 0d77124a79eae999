"""Handles the events of tracks whose song is on its way; each change is an event of the track's history."""

from dataclasses import dataclass

from k1_catalogue.database import is_first_delivery
from k1_catalogue.tracks import store
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_contracts.ids import derived_id
from k1_contracts.messages.catalogue.track_uploads import TRACK_CREATED, TrackCreated, TrackUploadAbandoned
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class TrackUploadHandlers:
    """Adds and removes tracks without a song."""

    pool: Pool

    async def handle_created(self, message: Delivery[TrackCreated]) -> None:
        """Add the track, unless its song has arrived already."""
        event = message.body
        async with self.pool.acquire() as connection, connection.transaction():
            if not await is_first_delivery(connection, message.envelope.id):
                return
            if await store.insert_expected_track(connection, event):
                await write_audit_entry(
                    connection, event.track_id, at=event.created_at, actor="ingest", action="created"
                )

    async def handle_abandoned(self, message: Delivery[TrackUploadAbandoned]) -> None:
        """Remove the track. Its creation counts as handled, in case that it is delivered after this."""
        event = message.body
        async with self.pool.acquire() as connection, connection.transaction():
            if not await is_first_delivery(connection, message.envelope.id):
                return
            await is_first_delivery(connection, derived_id("evt", TRACK_CREATED.subject, event.track_id))
            if await store.delete_expected_track(connection, event.track_id):
                await write_audit_entry(
                    connection,
                    event.track_id,
                    at=event.at,
                    actor="ingest",
                    action="upload abandoned",
                    detail=event.reason,
                )
