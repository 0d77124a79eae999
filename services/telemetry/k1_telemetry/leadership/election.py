"""Elects one telemetry process as the leader; the others are standbys that wait for its lease."""

import asyncio
import logging
import random
from collections.abc import MutableMapping
from typing import Final

from nats.js.kv import KeyValue

from k1_contracts.durables import TELEMETRY_SAMPLES
from k1_platform.nats.bus.client import Bus
from k1_platform.processes.tasks import run_together
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.leadership.broker_clock import BrokerClock
from k1_telemetry.leadership.lease import LeaderLease, LeadershipLostError
from k1_telemetry.leadership.metrics import Metrics
from k1_telemetry.leadership.presence_bucket import read_presence
from k1_telemetry.leadership.publisher import EventPublisher
from k1_telemetry.leadership.session import LeaderSession, ReconcileAlarms
from k1_telemetry.store.device_counts import DeviceCounts

LEADER_KEY: Final = "telemetry"
_RETRY_DELAY_S: Final = 1.0
_log = logging.getLogger(__name__)


class LeaderElection:
    """Waits for the lease, runs a leader session while it is held, and starts again."""

    def __init__(
        self,
        bus: Bus,
        leaders: KeyValue,
        metrics: Metrics,
        about: MutableMapping[str, str],
        *,
        device_counts: DeviceCounts,
        reconcile_alarms: ReconcileAlarms,
    ) -> None:
        """Start as a standby; `about` is shown by the readiness endpoint, and its `role` is kept current."""
        self._reconcile_alarms = reconcile_alarms
        self._bus, self._metrics, self._about = bus, metrics, about
        self._device_counts = device_counts
        self._lease = LeaderLease(leaders, LEADER_KEY, bus.client.new_inbox())
        self._clock = BrokerClock(bus.client, TELEMETRY_SAMPLES)
        self._fleet: Fleet | None = None
        self._become_standby()

    @property
    def is_leader(self) -> bool:
        """Return whether this process is the leader."""
        return self._about["role"] == "leader"

    async def run(self) -> None:
        """Run until cancelled; an error ends a leader session, not the election."""
        try:
            while True:
                await self._lease.acquire()
                await self._lead()
                self._become_standby()
        finally:
            self._become_standby()
            await self._lease.release()

    async def _lead(self) -> None:
        """Run a leader session until the lease is lost or an error occurs."""
        try:
            await run_together(self._lease.renew_until_lost(), self._run_session())
        except LeadershipLostError:
            _log.warning("no longer the leader")
        except Exception:  # noqa: BLE001  the next session starts with a clean state
            _log.exception("the leader session failed")
            await self._lease.release()
            await asyncio.sleep(_RETRY_DELAY_S)

    async def _run_session(self) -> None:
        await self._clock.measure()
        if self._fleet is None or not self._lease.uninterrupted:
            stored = await read_presence(self._bus, self._clock.now())
            self._fleet = Fleet(stored.valid, stored.lapsed)
        _log.info("became the leader", extra={"online": len(self._fleet.online_devices())})
        self._about["role"] = "leader"
        rng = random.Random()  # noqa: S311  jitter needs no secure randomness
        publisher = EventPublisher(self._bus, self._lease, self._metrics, rng)
        session = LeaderSession(
            self._bus,
            self._fleet,
            publisher,
            self._clock,
            self._metrics,
            device_counts=self._device_counts,
            reconcile_alarms=self._reconcile_alarms,
        )
        await session.run()

    def _become_standby(self) -> None:
        self._about["role"] = "standby"
        self._metrics.update_gauges(None)
