"""Which devices are there, from a real bucket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_deploy.devices import presence
from k1_deploy.devices.presence import PresenceTable, PresenceWatch

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ALARM = DeviceAlarm(
    device_id="a",
    kind="drift",
    level="alarm",
    state="raised",
    reason="drift_ms > 100 for 5s",
    since=NOW,
    at=NOW,
)


def heard(device_id: str, **fields: object) -> Presence:
    return Presence.model_validate({"device_id": device_id, "online_since": NOW, "last_seen": NOW, **fields})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_ends_without_a_word() -> None:
    """After its time to live a device is gone, though nobody said so; when it was heard stays known."""
    clock = Clock()
    table = PresenceTable(6.0, clock)
    table.put("a", heard("a", alarms=[ALARM]))
    table.put("b", heard("b"), age_s=4.0)
    assert (table.is_online("a"), table.is_online("b"), table.is_online("c")) == (True, True, False)
    assert table.alarms("a") == [ALARM]
    clock.now += 3
    assert (table.is_online("a"), table.is_online("b")) == (True, False)
    clock.now += 3
    assert (table.is_online("a"), table.alarms("a"), table.last_seen("a")) == (False, [], NOW)


@pytest.mark.parametrize(
    ("age_s", "after_s", "online"), [(99.0, 0.0, False), (-99.0, 5.9, True), (-99.0, 6.1, False)]
)
def test_clocks_that_disagree(age_s: float, after_s: float, online: bool) -> None:
    """An entry from the past or the future lives no longer than its time to live."""
    clock = Clock()
    table = PresenceTable(6.0, clock)
    table.put("a", heard("a"), age_s)
    clock.now += after_s
    assert table.is_online("a") == online


@pytest.fixture
async def bucket(
    jetstream: JetStreamContext, unique: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KeyValue]:
    """An empty bucket of this test alone, whose entries do not end while a test is held up."""
    name = f"PRESENCE_{unique}"
    monkeypatch.setattr(streams, "PRESENCE", replace(streams.PRESENCE, name=name, ttl=timedelta(days=1)))
    monkeypatch.setattr(presence, "_PREFIX", f"$KV.{name}.")
    yield await jetstream.create_key_value(bucket=name)
    await jetstream.delete_key_value(name)


@pytest.fixture
def watch(nats_client: Client, jetstream: JetStreamContext, bucket: KeyValue) -> PresenceWatch:
    return PresenceWatch(nats_client, jetstream)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_was_there_before_and_what_comes(
    watch: PresenceWatch, bucket: KeyValue, unique: str
) -> None:
    """Entries written before the start count, as do those written later; deleted ones do not."""
    await bucket.put(f"{unique}-a", heard(f"{unique}-a").to_json())
    await bucket.put(f"{unique}-x", b"not json")
    await watch.start()
    table = watch.table
    assert (table.is_online(f"{unique}-a"), table.is_online(f"{unique}-b")) == (True, False)
    await bucket.put(f"{unique}-x", b'{"device_id": 7}')
    await bucket.put(f"{unique}-b", heard(f"{unique}-b").to_json())
    await until(lambda: table.is_online(f"{unique}-b"))
    await bucket.delete(f"{unique}-a")
    await until(lambda: not table.is_online(f"{unique}-a"))
    assert (table.is_online(f"{unique}-x"), table.last_seen(f"{unique}-a")) == (False, NOW)


async def test_an_empty_bucket(watch: PresenceWatch) -> None:
    """It starts also where nothing was ever written."""
    await watch.start()
    assert not watch.table.is_online("nobody")
