"""The lease and what it protects, on simulated time: how soon another takes over, and what is there meanwhile."""

import asyncio
import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from prometheus_client import CollectorRegistry

from k1_contracts import streams
from k1_contracts.devices import Presence
from k1_telemetry import leader, shift, telling
from k1_telemetry.fleet import Fleet
from k1_telemetry.leader import Lease, LeaseLostError
from k1_telemetry.meters import Meters
from k1_telemetry.telling import Teller
from services.telemetry.tests.samples import at
from tests.support.simulated_time import SimulatedTime

TTL_S = streams.LEADERS.ttl.total_seconds()
LOOK_S = leader._LOOK_EVERY_S


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedTime:
    """The time of leases and of who tells."""
    simulated = SimulatedTime()
    for module in ("leader", "telling"):
        monkeypatch.setattr(f"k1_telemetry.{module}.time", SimpleNamespace(monotonic=simulated.time))
    return simulated


class Bucket:
    """LEADERS with one key, as the broker keeps it."""

    def __init__(self) -> None:
        self.revision = 0
        self.value: bytes | None = None
        self._until_s = 0.0

    async def get(self, _: str) -> Any:
        if asyncio.get_running_loop().time() >= self._until_s:
            self.value = None
        if self.value is None:
            raise KeyNotFoundError
        return SimpleNamespace(value=self.value, revision=self.revision)

    async def create(self, _: str, value: bytes) -> int:
        assert self.value is None
        return self._put(value)

    async def update(self, _: str, value: bytes, last: int) -> int:
        if self.value is None or last != self.revision:
            raise KeyWrongLastSequenceError
        return self._put(value)

    async def delete(self, _: str, last: int) -> None:
        assert last == self.revision
        self._put(None)

    def _put(self, value: bytes | None) -> int:
        self.revision, self.value = self.revision + 1, value
        self._until_s = asyncio.get_running_loop().time() + TTL_S
        return self.revision


class Away(Bucket):
    """The same bucket for a process that does not reach it."""

    async def get(self, _: str) -> Any:
        await asyncio.sleep(60)


def lease(bucket: Any, holder: str) -> Lease:
    return Lease(bucket, "telemetry", holder)


@pytest.mark.parametrize("killed_at_s", [0.1, 0.7, 0.8, 5.0, 7.49, 7.51])
def test_a_standby_takes_over_when_the_lease_has_run_out(
    simulated: SimulatedTime, killed_at_s: float
) -> None:
    """Within three and a quarter seconds of the leader's end, whenever that is; not while it may be alive."""
    bucket = Bucket()

    async def taken_over_after() -> float:
        old = lease(bucket, "old")
        await old.acquire()
        keeping = asyncio.create_task(old.keep())
        standing_by = asyncio.create_task(lease(bucket, "new").acquire())
        await asyncio.sleep(killed_at_s)
        assert old.is_held
        keeping.cancel()
        await standing_by
        assert not old.is_held
        return simulated.time() - killed_at_s

    assert TTL_S - leader._RENEW_EVERY_S <= simulated.run(taken_over_after()) <= TTL_S + LOOK_S


def test_a_lease_that_is_given_back_is_taken_at_the_next_look(simulated: SimulatedTime) -> None:
    """Within a quarter of a second."""
    bucket = Bucket()

    async def taken_over_after() -> float:
        old = lease(bucket, "old")
        await old.acquire()
        standing_by = asyncio.create_task(lease(bucket, "new").acquire())
        await asyncio.sleep(1)
        await old.release()
        begun = simulated.time()
        await standing_by
        return simulated.time() - begun

    assert simulated.run(taken_over_after()) <= LOOK_S


def test_a_leader_without_a_broker_stops_before_another_begins(simulated: SimulatedTime) -> None:
    """Half a second before."""
    bucket = Bucket()

    async def ends_and_begins() -> tuple[float, float]:
        old = lease(bucket, "old")
        await old.acquire()
        old._bucket = Away()
        standing_by = asyncio.create_task(lease(bucket, "new").acquire())
        while old.is_held:
            await asyncio.sleep(0.01)
        with pytest.raises(LeaseLostError):
            old.need()
        ended = simulated.time()
        await standing_by
        return ended, simulated.time()

    ended, begun = simulated.run(ends_and_begins())
    assert begun - ended >= leader._MARGIN_S - 0.02


def test_presence_is_said_again_before_it_runs_out(simulated: SimulatedTime) -> None:
    """Often enough to outlast a takeover."""
    written: dict[str, list[float]] = {}

    async def publish(subject: str, _: bytes) -> None:
        written.setdefault(subject, []).append(simulated.time())

    bus: Any = SimpleNamespace(client=SimpleNamespace(publish=publish, is_connected=True))
    held: Any = SimpleNamespace(need=lambda: None)
    teller = Teller(bus, held, Meters(CollectorRegistry()), random.Random(1))
    fleet = Fleet(Presence(device_id=f"k1-{n}", online_since=at(0), last_seen=at(n)) for n in range(50))

    async def refresh() -> None:
        await teller.refresh_presence(fleet, everyone=True)
        for _ in range(100):
            await asyncio.sleep(shift._LOOK_EVERY_S)
            await teller.refresh_presence(fleet)

    simulated.run(refresh())
    longest_s = max(later - earlier for times in written.values() for earlier, later in pairwise(times))
    assert len(written) == 50
    assert longest_s <= telling.REFRESH_S + shift._LOOK_EVERY_S + 1e-6
    assert longest_s + TTL_S + LOOK_S < streams.PRESENCE.ttl.total_seconds()
