"""Presence of devices, from a real bucket."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_deploy.devices.presence_cache import PresenceCache, PresenceWatcher
from tests.support.waiting import eventually

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


def presence_of(device_id: str, **fields: object) -> Presence:
    return Presence.model_validate({"device_id": device_id, "online_since": NOW, "last_seen": NOW, **fields})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_expires_without_a_message() -> None:
    """When its entry is no longer valid, a device is offline without any message; when it was last seen stays known."""
    clock = Clock()
    cache = PresenceCache(6.0, clock)
    cache.put("a", presence_of("a", alarms=[ALARM]))
    cache.put("b", presence_of("b"), age_s=4.0)
    assert (cache.is_online("a"), cache.is_online("b"), cache.is_online("c")) == (True, True, False)
    assert cache.alarms("a") == [ALARM]
    clock.now += 3
    assert (cache.is_online("a"), cache.is_online("b")) == (True, False)
    clock.now += 3
    assert (cache.is_online("a"), cache.alarms("a"), cache.last_seen("a")) == (False, [], NOW)


@pytest.mark.parametrize(
    ("age_s", "after_s", "online"), [(99.0, 0.0, False), (-99.0, 5.9, True), (-99.0, 6.1, False)]
)
def test_clocks_that_disagree(age_s: float, after_s: float, online: bool) -> None:
    """An entry from the past or the future is valid no longer than one from now."""
    clock = Clock()
    cache = PresenceCache(6.0, clock)
    cache.put("a", presence_of("a"), age_s)
    clock.now += after_s
    assert cache.is_online("a") == online


@pytest.fixture
async def bucket(
    jetstream: JetStreamContext, unique: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KeyValue]:
    """A separate empty bucket."""
    name = f"PRESENCE_{unique}"
    monkeypatch.setattr(streams, "PRESENCE", replace(streams.PRESENCE, name=name))
    yield await jetstream.create_key_value(bucket=name)
    await jetstream.delete_key_value(name)


@pytest.fixture
def watcher(nats_client: Client, jetstream: JetStreamContext, bucket: KeyValue) -> PresenceWatcher:
    """A watcher for which entries stay valid while a test is delayed."""
    return PresenceWatcher(nats_client, jetstream, PresenceCache(timedelta(days=1).total_seconds()))


async def test_existing_and_later_entries(watcher: PresenceWatcher, bucket: KeyValue, unique: str) -> None:
    """Entries written before the start count, as do those written later; deleted ones do not."""
    await bucket.put(f"{unique}-a", presence_of(f"{unique}-a").to_json())
    await bucket.put(f"{unique}-x", b"not json")
    await watcher.start()
    cache = watcher.cache
    assert (cache.is_online(f"{unique}-a"), cache.is_online(f"{unique}-b")) == (True, False)
    await bucket.put(f"{unique}-x", b'{"device_id": 7}')
    await bucket.put(f"{unique}-b", presence_of(f"{unique}-b").to_json())
    await eventually(lambda: cache.is_online(f"{unique}-b"), "the later device is online", interval_s=0.01)
    await bucket.delete(f"{unique}-a")
    await eventually(
        lambda: not cache.is_online(f"{unique}-a"), "the deleted device is offline", interval_s=0.01
    )
    assert (cache.is_online(f"{unique}-x"), cache.last_seen(f"{unique}-a")) == (False, NOW)


async def test_an_entry_that_telemetry_left_does_not_count(
    nats_client: Client, jetstream: JetStreamContext, bucket: KeyValue, unique: str
) -> None:
    """Without a leader of telemetry the entry stays in the bucket, and its device is offline after six seconds."""
    assert PresenceWatcher(nats_client, jetstream).cache.validity_s == 6.0
    await bucket.put(unique, presence_of(unique).to_json())
    written_s = time.monotonic()
    await eventually(lambda: time.monotonic() - written_s > 0.05, "the entry is too old")
    watcher = PresenceWatcher(nats_client, jetstream, PresenceCache(validity_s=0.05))
    await watcher.start()
    assert (watcher.cache.is_online(unique), watcher.cache.last_seen(unique)) == (False, NOW)


async def test_an_empty_bucket(watcher: PresenceWatcher) -> None:
    """The watcher starts also when nothing was ever written."""
    await watcher.start()
    assert not watcher.cache.is_online("nobody")
