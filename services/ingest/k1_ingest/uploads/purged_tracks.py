"""Forgets the claims of tracks that were removed for good, so that the same bytes become a new track."""

import logging
from dataclasses import dataclass

from k1_contracts.messages.catalogue.track_edits import TrackPurged
from k1_ingest.uploads.claim_store import ClaimStore
from k1_platform.nats.streams.consumers import Delivery

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PurgedTracks:
    """Handles `track.purged`."""

    claims: ClaimStore

    async def handle_purged(self, message: Delivery[TrackPurged]) -> None:
        """Remove the claim of the track; a claim of a newer track on the same bytes stays."""
        event = message.body
        found = await self.claims.find(event.audio_sha256)
        if found is None or found.claim.event.track_id != event.track_id:
            return
        await self.claims.remove(event.audio_sha256, found)
        _log.info("claim of a purged track removed", extra={"track_id": event.track_id})
