"""Leader or standby: waits for the lease, works while it has it, and begins again."""

import asyncio
import logging
import random
from collections.abc import MutableMapping
from typing import Final

from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_platform.broker import Bus
from k1_platform.tasks import run_together
from k1_telemetry.broker_clock import BrokerClock
from k1_telemetry.fleet import Fleet
from k1_telemetry.leader import Lease, LeaseLostError
from k1_telemetry.meters import Meters
from k1_telemetry.shift import Shift
from k1_telemetry.telling import Teller, read_presence

LEADER_KEY: Final = "telemetry"
_PAUSE_S: Final = 1.0
_log = logging.getLogger(__name__)


class Watch:
    """This process's part in watching the devices."""

    def __init__(self, bus: Bus, leaders: KeyValue, meters: Meters, about: MutableMapping[str, str]) -> None:
        """`about` is what readiness tells; its `role` is kept current."""
        self._bus, self._meters, self._about = bus, meters, about
        self._lease = Lease(leaders, LEADER_KEY, bus.client.new_inbox())
        self._clock = BrokerClock(bus.client, streams.TELEMETRY_SAMPLES)
        self._fleet: Fleet | None = None
        self._stand_by()

    async def run(self) -> None:
        """For ever; what goes wrong ends a shift, not the watch."""
        try:
            while True:
                await self._lease.acquire()
                await self._lead()
                self._stand_by()
        finally:
            self._stand_by()
            await self._lease.release()

    async def _lead(self) -> None:
        """Until the lease is lost or something fails."""
        try:
            await run_together(self._lease.keep(), self._work())
        except LeaseLostError:
            _log.warning("no longer the leader")
        except Exception:  # noqa: BLE001  the next shift begins anew
            _log.exception("the shift ended early")
            await self._lease.release()
            await asyncio.sleep(_PAUSE_S)

    async def _work(self) -> None:
        await self._clock.measure()
        if self._fleet is None or not self._lease.uninterrupted:
            self._fleet = Fleet(await read_presence(self._bus))
        _log.info("leader", extra={"online": len(self._fleet.online())})
        self._about["role"] = "leader"
        teller = Teller(self._bus, self._lease, self._meters, random.Random())  # noqa: S311  jitter is no secret
        await Shift(self._bus, self._fleet, teller, self._clock, self._meters).run()

    def _stand_by(self) -> None:
        self._about["role"] = "standby"
        self._meters.show(None)
