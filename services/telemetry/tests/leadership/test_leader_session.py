"""Tests that a paused process, or one without a broker, loses no event and restores its state correctly."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.kv import KeyValue
from prometheus_client import CollectorRegistry

from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_SAMPLES
from k1_contracts.messages.telemetry import Presence
from k1_platform.nats.streams.pull_consumer import PullResult
from k1_telemetry.fleet.effects import Effects
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.leadership.broker_clock import BrokerClock
from k1_telemetry.leadership.lease import LeadershipLostError
from k1_telemetry.leadership.metrics import Metrics
from k1_telemetry.leadership.presence_bucket import StoredPresence, read_presence
from k1_telemetry.leadership.session import LeaderSession
from services.telemetry.tests.samples import at


async def test_the_next_session_publishes_what_the_last_one_could_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lease expires and is acquired again: the event that the device is online is published once."""
    fleet, published, lost = Fleet(), list[Any](), True
    monkeypatch.setattr("k1_telemetry.leadership.session.acknowledge", nothing)

    async def publish(effects: Effects, _: Fleet) -> None:
        if lost:
            raise LeadershipLostError("the lease was not renewed in time")
        published.extend(effects.events)

    def create_session() -> LeaderSession:
        publisher: Any = SimpleNamespace(publish=publish)
        clock: Any = SimpleNamespace(now=lambda: at(0))
        bus: Any = SimpleNamespace(client=None)
        counts: Any = SimpleNamespace(add=lambda _: None)
        metrics = Metrics(CollectorRegistry())
        return LeaderSession(
            bus,
            fleet,
            publisher,
            clock,
            metrics,
            device_counts=counts,
            reconcile_alarms=nothing,
        )

    hello: Any = SimpleNamespace(reply="", subject="device.k1-a.hello")

    def handle_hello(_: Any, effects: Effects) -> None:
        fleet.process_hello("k1-a", at(0), effects, now=at(0))

    with pytest.raises(LeadershipLostError):
        await create_session()._process(PullResult([hello], None), handle_hello)
    lost = False
    next_session = create_session()
    for _ in range(2):
        await next_session._process(PullResult([hello], None), handle_hello)
    assert [(event.device_id, event.at) for event in published] == [("k1-a", at(0))]


async def nothing(*_: object) -> None:
    """Do nothing: these sessions have neither broker nor database."""


class Watcher:
    """Simulates a watcher whose entries come after some timeouts."""

    def __init__(self, timeouts: int, *entries: KeyValue.Entry | None) -> None:
        self.timeouts, self.entries = timeouts, list(entries)

    async def updates(self, timeout: float) -> KeyValue.Entry | None:  # noqa: ASYNC109
        if self.timeouts > 0 or not self.entries:
            self.timeouts -= 1
            raise NatsTimeoutError
        return self.entries.pop(0)

    async def stop(self) -> None:
        pass


def entry(presence: Presence) -> KeyValue.Entry:
    """Return the entry of a device that was written when the device was last seen."""
    created: Any = presence.last_seen  # nats-py declares an int and gives a datetime
    return KeyValue.Entry(
        bucket=streams.PRESENCE.name,
        key=presence.device_id,
        value=presence.to_json(),
        revision=1,
        delta=0,
        created=created,
        operation=None,
    )


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("timeouts", [0, 1])
async def test_presence_is_read_completely_although_it_comes_late(timeouts: int, ends: bool) -> None:
    """One timeout is not the end, because the broker may be slow; two timeouts are the end.

    Entries that were written over six seconds ago are lapsed.
    """
    present = [Presence(device_id=f"k1-{n}", online_since=at(0), last_seen=at(n)) for n in range(3)]
    watcher = Watcher(timeouts, *map(entry, present), *([None] if ends else []))
    flushed = 0

    async def flush() -> None:
        nonlocal flushed
        flushed += 1

    async def watchall(*, ignore_deletes: bool) -> Watcher:
        return watcher

    async def key_value(_: str) -> Any:
        return SimpleNamespace(watchall=watchall)

    bus: Any = SimpleNamespace(
        jetstream=SimpleNamespace(key_value=key_value), client=SimpleNamespace(flush=flush)
    )
    assert await read_presence(bus, at(7)) == StoredPresence(valid=present[1:], lapsed=present[:1])
    assert flushed == timeouts + (0 if ends else 2)


async def test_a_late_response_does_not_count_as_the_brokers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the process was paused during the request, the moment of the response is unknown."""
    now_s = 100.0
    monkeypatch.setattr("k1_telemetry.leadership.broker_clock.time", SimpleNamespace(monotonic=lambda: now_s))
    took_s = 10.0

    async def request(_subject: str, _body: bytes, timeout: float) -> Any:  # noqa: ASYNC109
        nonlocal now_s
        now_s += took_s
        return SimpleNamespace(data=json.dumps({"ts": at(now_s).isoformat()}).encode())

    client: Any = SimpleNamespace(request=request)
    clock = BrokerClock(client, TELEMETRY_SAMPLES)
    with pytest.raises(NatsTimeoutError):
        await clock.measure()
    took_s = 0.0
    await clock.measure()
    assert clock.now() == at(now_s)
