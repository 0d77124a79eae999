"""Keeps changes out while a backup is made: the mode is one key of a bucket, which every service looks up.

The backup renews the key; when it ends or dies, the bucket's time to live ends the mode. Services look the key up at
most every `FRESH_S`, so the backup waits `SETTLE_S` after each change of the phase.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from k1_contracts.streams import MAINTENANCE
from k1_platform.nats.jetstream_api import key_subject, purge_key

Phase = Literal["refusing", "frozen", "copying"]
"""`refusing`: changes are refused, accepted ones are finished. `frozen`: also no outbox is published. `copying`: changes are
accepted again, but nothing is removed from the object store."""
FRESH_S: Final = 0.5
SETTLE_S: Final = 2.0
"""After this time every service has seen a change of the phase, and finished what it had begun before."""
REFUSED: Final = "A backup is being made, so nothing can be changed; send the request again in a few seconds."
_KEY: Final = "phase"
_SUBJECT: Final = key_subject(MAINTENANCE.name, _KEY)
_RENEW_S: Final = 5.0


@dataclass(slots=True)
class MaintenanceMode:
    """Answers whether a backup keeps changes out; a broker that does not respond counts as no backup."""

    jetstream: JetStreamContext
    _phase: Phase | None = None
    _read_at: float = -FRESH_S
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def phase(self) -> Phase | None:
        """Return the phase of the backup that is being made, or None."""
        async with self._reading:
            if time.monotonic() - self._read_at >= FRESH_S:
                self._phase = await _read(self.jetstream)
                self._read_at = time.monotonic()
            return self._phase

    async def refuses_changes(self) -> bool:
        """Return whether a request that changes something must be refused."""
        return await self.phase() in {"refusing", "frozen"}

    async def is_frozen(self) -> bool:
        """Return whether outboxes must not be published, because bus and database are copied one after the other."""
        return await self.phase() == "frozen"

    async def keeps_objects(self) -> bool:
        """Return whether nothing may be removed from the stores."""
        return await self.phase() is not None


async def _read(jetstream: JetStreamContext) -> Phase | None:
    try:
        found = await jetstream.get_last_msg(MAINTENANCE.stream, _SUBJECT, direct=True)
    except (NatsError, TimeoutError, OSError):
        return None
    return cast("Phase", json.loads(found.data)["phase"]) if found.data else None


class MaintenanceControl:
    """Sets the phase, for the backup."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._phase: Phase = "refusing"

    async def begin(self) -> None:
        """Set the first phase, `refusing`, and wait until every service has seen it."""
        await self._write()
        await asyncio.sleep(SETTLE_S)

    async def enter(self, phase: Phase) -> None:
        """Set the phase, and wait until every service has seen it.

        Raises:
            MaintenanceLostError: the phase before has ended early.
        """
        await self.require_phase()
        self._phase = phase
        await self._write()
        await asyncio.sleep(SETTLE_S)

    async def require_phase(self) -> None:
        """Raise MaintenanceLostError if the phase has ended, as when the broker lost it."""
        if await _read(self._jetstream) != self._phase:
            raise MaintenanceLostError

    async def _write(self) -> None:
        await self._jetstream.publish(_SUBJECT, json.dumps({"phase": self._phase}).encode())

    async def renew(self) -> None:
        """Renew the phase until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_S)
            await self._write()


@asynccontextmanager
async def maintenance(jetstream: JetStreamContext) -> AsyncGenerator[MaintenanceControl]:
    """Refuse changes while the block runs; yield what sets the later phases.

    Raises:
        MaintenanceRunningError: another backup is being made.
    """
    if await _read(jetstream) is not None:
        raise MaintenanceRunningError
    control = MaintenanceControl(jetstream)
    await control.begin()
    renewing = asyncio.create_task(control.renew())
    try:
        yield control
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError, NatsError, TimeoutError):
            await renewing
        await purge_key(jetstream, MAINTENANCE.name, _KEY)


class MaintenanceRunningError(Exception):
    """Another backup is being made; its mode ends with it, or within 30 seconds of its end."""


class MaintenanceLostError(Exception):
    """The mode ended while the backup still needed it, so the copies may not fit together."""
