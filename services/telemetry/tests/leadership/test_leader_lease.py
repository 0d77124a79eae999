"""Tests the lease on simulated time: how soon a standby takes over, and that presence lasts until then."""

import asyncio
import random
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NoStreamResponseError
from nats.js.kv import KV_DEL, KV_OP
from prometheus_client import CollectorRegistry

from k1_contracts import streams
from k1_contracts.messages.telemetry import PRESENCE_VALIDITY, Presence
from k1_platform.nats.jetstream_api import key_subject
from k1_telemetry.fleet.effects import Effects
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.leadership import lease, publisher, session
from k1_telemetry.leadership.lease import LeaderLease, LeadershipLostError
from k1_telemetry.leadership.metrics import Metrics
from k1_telemetry.leadership.publisher import EventPublisher
from services.telemetry.tests.samples import at
from tests.support.simulated_time import SimulatedTime

assert streams.LEADERS.ttl is not None
TTL_S = streams.LEADERS.ttl.total_seconds()
ACQUIRE_INTERVAL_S = lease._ACQUIRE_INTERVAL_S


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> SimulatedTime:
    """Replace the clocks of the lease and of the publisher."""
    simulated = SimulatedTime()
    for module in ("lease", "publisher"):
        monkeypatch.setattr(
            f"k1_telemetry.leadership.{module}.time", SimpleNamespace(monotonic=simulated.time)
        )
    return simulated


class Bucket:
    """Simulates the bucket LEADERS with one key."""

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


class UnreachableBucket(Bucket):
    """Simulates the bucket for a process that cannot reach the broker."""

    async def get(self, _: str) -> Any:
        await asyncio.sleep(60)


def create_lease(bucket: Any, holder: str) -> LeaderLease:
    return LeaderLease(bucket, "telemetry", holder)


@pytest.mark.parametrize("killed_at_s", [0.1, 0.7, 0.8, 5.0, 7.49, 7.51])
def test_a_standby_takes_over_when_the_lease_expires(simulated: SimulatedTime, killed_at_s: float) -> None:
    """It takes over within 3.25 s of the leader's end, whenever that is, and never while the lease is valid."""
    bucket = Bucket()

    async def taken_over_after() -> float:
        old = create_lease(bucket, "old")
        await old.acquire()
        renewing = asyncio.create_task(old.renew_until_lost())
        standing_by = asyncio.create_task(create_lease(bucket, "new").acquire())
        await asyncio.sleep(killed_at_s)
        assert old.is_held
        renewing.cancel()
        await standing_by
        assert not old.is_held
        return simulated.time() - killed_at_s

    assert TTL_S - lease._RENEW_INTERVAL_S <= simulated.run(taken_over_after()) <= TTL_S + ACQUIRE_INTERVAL_S


def test_a_released_lease_is_acquired_at_the_next_attempt(simulated: SimulatedTime) -> None:
    """The next attempt comes within a quarter of a second."""
    bucket = Bucket()

    async def taken_over_after() -> float:
        old = create_lease(bucket, "old")
        await old.acquire()
        standing_by = asyncio.create_task(create_lease(bucket, "new").acquire())
        await asyncio.sleep(1)
        await old.release()
        started = simulated.time()
        await standing_by
        return simulated.time() - started

    assert simulated.run(taken_over_after()) <= ACQUIRE_INTERVAL_S


def test_a_leader_without_a_broker_stops_before_the_next_leader_starts(simulated: SimulatedTime) -> None:
    """It stops half a second earlier."""
    bucket = Bucket()

    async def stop_and_start() -> tuple[float, float]:
        old = create_lease(bucket, "old")
        await old.acquire()
        unreachable: Any = UnreachableBucket()
        old._bucket = unreachable
        standing_by = asyncio.create_task(create_lease(bucket, "new").acquire())
        while old.is_held:
            await asyncio.sleep(0.01)
        with pytest.raises(LeadershipLostError):
            old.require()
        stopped = simulated.time()
        await standing_by
        return stopped, simulated.time()

    stopped, started = simulated.run(stop_and_start())
    assert started - stopped >= lease._SAFETY_MARGIN_S - 0.02


def test_presence_is_written_again_while_it_is_valid(simulated: SimulatedTime) -> None:
    """It is written often enough that entries outlast a takeover; that of a device that is not confirmed is not."""
    written: dict[str, list[float]] = {}

    async def publish(subject: str, _: bytes) -> None:
        written.setdefault(subject, []).append(simulated.time())

    bus: Any = SimpleNamespace(client=SimpleNamespace(publish=publish, is_connected=True))
    held: Any = SimpleNamespace(require=lambda: None)
    event_publisher = EventPublisher(bus, held, Metrics(CollectorRegistry()), random.Random(1))
    present = [Presence(device_id=f"k1-{n}", online_since=at(0), last_seen=at(n)) for n in range(51)]
    fleet = Fleet(present[:50], lapsed=present[50:])

    async def refresh() -> None:
        await event_publisher.refresh_presence(fleet, all_devices=True)
        for _ in range(100):
            await asyncio.sleep(session._SILENCE_CHECK_INTERVAL_S)
            await event_publisher.refresh_presence(fleet)

    simulated.run(refresh())
    longest_s = max(later - earlier for times in written.values() for earlier, later in pairwise(times))
    assert len(written) == 50
    assert longest_s <= publisher.PRESENCE_REFRESH_S + session._SILENCE_CHECK_INTERVAL_S + 1e-6
    assert longest_s + TTL_S + ACQUIRE_INTERVAL_S < PRESENCE_VALIDITY.total_seconds()


def test_the_removal_of_presence_is_repeated_until_it_is_stored(simulated: SimulatedTime) -> None:
    """An entry that is left would be taken for a device whose offline event is missing."""
    outcomes: list[Exception | None] = [NatsTimeoutError(), NoStreamResponseError(), None]
    removed: list[str] = []

    async def publish(subject: str, _: bytes, headers: dict[str, str]) -> None:
        assert headers == {KV_OP: KV_DEL}
        removed.append(subject)
        if (error := outcomes.pop(0)) is not None:
            raise error

    client = SimpleNamespace(is_closed=False)
    bus: Any = SimpleNamespace(jetstream=SimpleNamespace(publish=publish), client=client)
    held: Any = SimpleNamespace(require=lambda: None)
    event_publisher = EventPublisher(bus, held, Metrics(CollectorRegistry()), random.Random(1))
    simulated.run(event_publisher.publish(Effects(presence_removed={"k1-a": None}), Fleet()))
    assert removed == [key_subject(streams.PRESENCE.name, "k1-a")] * 3
