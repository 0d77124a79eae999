"""Publishes `track.uploaded` for each accepted song: at once, after a crash, and after the broker lost events.

The id of the event follows from the track, so a repeated event has no second effect. That allows a simple rule: every
claim that is not marked as published is published.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_ingest.uploads.claim_store import Claim, ClaimStore, FoundClaim, PendingObject
from k1_platform.errors import TransientError
from k1_platform.nats.actors import acting_as
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.streams.publisher import publish
from k1_platform.storage.objects import ObjectStore

ORPHAN_AGE: Final = timedelta(minutes=30)
"""Longer than any upload takes: an older pending object without a claim was left by a crash."""
_SWEEP_INTERVAL_S: Final = 60.0
_POLL_INTERVAL_S: Final = 1.0
_RECENT_S: Final = 120.0
_MAX_RECENT: Final = 10_000

_log = logging.getLogger(__name__)


def _recent_claims() -> deque[tuple[float, Claim]]:
    return deque(maxlen=_MAX_RECENT)


@dataclass(frozen=True, slots=True)
class TrackPublisher:
    """Publishes `track.uploaded` and records which claims were published."""

    bus: Bus
    claims: ClaimStore
    objects: ObjectStore
    clock: Callable[[], datetime]
    _recent: deque[tuple[float, Claim]] = field(default_factory=_recent_claims)
    """The newest published claims, each with the monotonic time at which it was published."""

    async def publish(self, claim: Claim) -> None:
        """Publish the event of the claim, and return when the stream has stored it.

        Raises:
            TransientError: the broker did not confirm; the claim stays and will be published later.
        """
        await self._publish_event(claim)
        self._recent.append((time.monotonic(), claim))
        try:
            await self.claims.mark_published(claim)
            await self.claims.remove_pending(claim.event.track_id)
        except TransientError as error:
            # The sweep publishes it again, which has no second effect.
            _log.warning("published, but not recorded", extra={"reason": str(error)})

    async def run(self) -> None:
        """Sweep at the start and every minute. After a reconnection publish the recent events again."""
        reconnects = self.bus.client.stats["reconnects"]
        next_sweep = 0.0
        while True:
            try:
                if reconnects != (current := self.bus.client.stats["reconnects"]):
                    await self._republish_recent()
                    reconnects = current
                if time.monotonic() >= next_sweep:
                    await self.sweep()
                    next_sweep = time.monotonic() + _SWEEP_INTERVAL_S
            except TransientError as error:
                _log.warning("sweep postponed", extra={"reason": str(error)})
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def sweep(self) -> None:
        """Finish what a crash interrupted: publish unpublished claims, delete objects without a claim."""
        for track_id, pending in await self.claims.list_pending():
            found = await self.claims.find(pending.sha256)
            if found and found.claim.event.track_id == track_id:
                await self._finish(found, pending)
            elif self.clock() - pending.since > ORPHAN_AGE:
                await self.objects.delete(pending.object_key)
                await self.claims.remove_pending(track_id)
                _log.info("deleted an orphaned object", extra={"key": pending.object_key})

    async def _finish(self, found: FoundClaim, pending: PendingObject) -> None:
        if await self.objects.exists(pending.object_key):
            await self.publish(found.claim)
            return
        _log.error("the object of a claim does not exist", extra={"key": pending.object_key})
        await self.claims.remove(pending.sha256, found)
        await self.claims.remove_pending(found.claim.event.track_id)

    async def _republish_recent(self) -> None:
        """Store and publish the recent claims again: a broker that was killed may have lost what it had confirmed."""
        while self._recent and self._recent[0][0] < time.monotonic() - _RECENT_S:
            self._recent.popleft()
        for _, claim in list(self._recent):
            await self.claims.claim(claim.event.audio.sha256, claim.model_copy(update={"state": "announced"}))
            await self._publish_event(claim)
        _log.info("published the recent uploads again", extra={"count": len(self._recent)})

    async def _publish_event(self, claim: Claim) -> None:
        with acting_as(claim.actor):
            await publish(self.bus.broker, TRACK_UPLOADED, claim.event, source="ingest")
