"""Telling the bus of each accepted song: at once, after a crash, and again when the broker lost its memory.

The event's id follows from the track, so telling it twice is telling it once. That makes the rule
simple: whoever finds a claim that was not announced announces it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from k1_contracts import streams, subjects
from k1_ingest.claims import Claim, Claims, Found, Pending
from k1_platform.errors import TransientError
from k1_platform.nats.client import Bus, make_event, publish_event
from k1_platform.storage.objects import ObjectStore

ORPHAN_AGE: Final = timedelta(minutes=30)
"""Older than any upload can be: what is then unclaimed was left by a crash."""
_SWEEP_EVERY_S: Final = 60.0
_LOOK_EVERY_S: Final = 1.0
_REMEMBERED_S: Final = 120.0
_MOST_REMEMBERED: Final = 10_000

_log = logging.getLogger(__name__)


class Announcer:
    """Publishes `track.uploaded` and keeps the record of what was published."""

    def __init__(self, bus: Bus, claims: Claims, objects: ObjectStore, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._claims = claims
        self._objects = objects
        self._clock = clock
        self._recent: deque[tuple[float, Claim]] = deque(maxlen=_MOST_REMEMBERED)

    async def announce(self, claim: Claim) -> None:
        """Publish the claim's event, and return once the broker has acknowledged it.

        Raises:
            TransientError: the broker did not confirm; the claim stays and will be announced later.
        """
        await self._publish(claim)
        self._recent.append((time.monotonic(), claim))
        try:
            await self._claims.mark_announced(claim)
            await self._claims.forget(claim.event.track_id)
        except TransientError as error:
            # The sweep announces it once more, which changes nothing.
            _log.warning("announced, not recorded", extra={"reason": str(error)})

    async def run(self) -> None:
        """Sweep at the start and every minute; after a reconnection tell again what may have been lost."""
        reconnects = self._bus.client.stats["reconnects"]
        next_sweep = 0.0
        while True:
            try:
                if reconnects != (now_at := self._bus.client.stats["reconnects"]):
                    await self._tell_again()
                    reconnects = now_at
                if time.monotonic() >= next_sweep:
                    await self.sweep()
                    next_sweep = time.monotonic() + _SWEEP_EVERY_S
            except TransientError as error:
                _log.warning("sweep postponed", extra={"reason": str(error)})
            await asyncio.sleep(_LOOK_EVERY_S)

    async def sweep(self) -> None:
        """Settle what a crash left: announce what was claimed, delete objects that nobody claimed."""
        for track_id, pending in await self._claims.pending():
            found = await self._claims.find(pending.sha256)
            if found and found.claim.event.track_id == track_id:
                await self._finish(found, pending)
            elif self._clock() - pending.since > ORPHAN_AGE:
                await self._objects.delete(pending.object_key)
                await self._claims.forget(track_id)
                _log.info("deleted an object that a crash left", extra={"key": pending.object_key})

    async def _finish(self, found: Found, pending: Pending) -> None:
        if await self._objects.exists(pending.object_key):
            await self.announce(found.claim)
            return
        _log.error("the object of a claim is gone", extra={"key": pending.object_key})
        await self._claims.give_up(pending.sha256, found)
        await self._claims.forget(found.claim.event.track_id)

    async def _tell_again(self) -> None:
        """A broker that was killed may have lost what it had just acknowledged."""
        while self._recent and self._recent[0][0] < time.monotonic() - _REMEMBERED_S:
            self._recent.popleft()
        for _, claim in list(self._recent):
            await self._claims.claim(
                claim.event.audio.sha256, claim.model_copy(update={"state": "announced"})
            )
            await self._publish(claim)
        _log.info("told the recent uploads again", extra={"count": len(self._recent)})

    async def _publish(self, claim: Claim) -> None:
        event = claim.event
        envelope, body = make_event(
            subjects.TRACK_UPLOADED,
            event,
            source="ingest",
            about=event.track_id,
            clock=lambda: event.uploaded_at,
        )
        await publish_event(self._bus.broker, subjects.TRACK_UPLOADED, envelope, body, stream=streams.EVENTS)
