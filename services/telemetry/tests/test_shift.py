"""A process that stands still, or is without a broker, loses nothing of what it had to tell."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.kv import KeyValue
from prometheus_client import CollectorRegistry

from k1_contracts import streams
from k1_contracts.devices import Presence
from k1_platform.pulling import Pulled
from k1_telemetry.broker_clock import BrokerClock
from k1_telemetry.fleet import Effects, Fleet
from k1_telemetry.leader import LeaseLostError
from k1_telemetry.meters import Meters
from k1_telemetry.shift import Shift
from k1_telemetry.telling import read_presence
from services.telemetry.tests.samples import at


async def test_what_a_shift_could_not_tell_the_next_one_tells() -> None:
    """The lease ran out meanwhile and came back: the device is online, and that is told, once."""
    fleet, told, lost = Fleet(), list[Any](), True

    async def tell(effects: Effects, _: Fleet) -> None:
        if lost:
            raise LeaseLostError("the lease was not renewed in time")
        told.extend(effects.facts)

    def shift() -> Shift:
        teller: Any = SimpleNamespace(tell=tell)
        clock: Any = SimpleNamespace(now=lambda: at(0))
        bus: Any = SimpleNamespace(client=None)
        return Shift(bus, fleet, teller, clock, Meters(CollectorRegistry()))

    async def ack() -> None:
        pass

    hello: Any = SimpleNamespace(ack=ack, subject="device.k1-a.hello")

    def heard(_: Any, effects: Effects) -> None:
        fleet.take_hello("k1-a", at(0), effects, now=at(0))

    with pytest.raises(LeaseLostError):
        await shift()._take(Pulled([hello], None), heard)
    lost = False
    again = shift()
    for _ in range(2):
        await again._take(Pulled([hello], None), heard)
    assert [(fact.device_id, fact.at) for fact in told] == [("k1-a", at(0))]


class Watcher:
    """A watcher whose entries come after some vain waits."""

    def __init__(self, vain: int, *entries: KeyValue.Entry | None) -> None:
        self.vain, self.entries = vain, list(entries)

    async def updates(self, timeout: float) -> KeyValue.Entry | None:  # noqa: ASYNC109
        if self.vain > 0 or not self.entries:
            self.vain -= 1
            raise NatsTimeoutError
        return self.entries.pop(0)

    async def stop(self) -> None:
        pass


def entry(presence: Presence) -> KeyValue.Entry:
    return KeyValue.Entry(
        bucket=streams.PRESENCE.name,
        key=presence.device_id,
        value=presence.to_json(),
        revision=1,
        delta=0,
        created=None,
        operation=None,
    )


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("vain", [0, 1])
async def test_presence_is_read_whole_though_it_comes_late(vain: int, ends: bool) -> None:
    """One wait in vain is not the end of it, if the broker had yet to answer; two are, if it says no more."""
    present = [Presence(device_id=f"k1-{n}", online_since=at(0), last_seen=at(n)) for n in range(3)]
    watcher = Watcher(vain, *map(entry, present), *([None] if ends else []))
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
    assert await read_presence(bus) == present
    assert flushed == vain + (0 if ends else 2)


async def test_a_time_that_was_told_too_late_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked, and the process stood still: nobody knows of which moment the answer is."""
    now_s = 100.0
    monkeypatch.setattr("k1_telemetry.broker_clock.time", SimpleNamespace(monotonic=lambda: now_s))
    took_s = 10.0

    async def request(_subject: str, _body: bytes, timeout: float) -> Any:  # noqa: ASYNC109
        nonlocal now_s
        now_s += took_s
        return SimpleNamespace(data=json.dumps({"ts": at(now_s).isoformat()}).encode())

    client: Any = SimpleNamespace(request=request)
    clock = BrokerClock(client, streams.TELEMETRY_SAMPLES)
    with pytest.raises(NatsTimeoutError):
        await clock.measure()
    took_s = 0.0
    await clock.measure()
    assert clock.now() == at(now_s)
