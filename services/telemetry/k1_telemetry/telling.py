"""What is published: facts that must arrive, presence that is said again and again, live data that may be lost."""

import asyncio
import logging
import random
import time
from collections import OrderedDict
from typing import Final

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.kv import KV_DEL, KV_OP, KeyValue

from k1_contracts import streams, subjects
from k1_contracts.base import rfc3339
from k1_contracts.devices import DeviceAlarm, DeviceOffline, DeviceOnline, LiveSample, Presence
from k1_platform.broker import Bus, make_event, publish_event
from k1_platform.errors import TransientError
from k1_telemetry.fleet import Effects, Fact, Fleet
from k1_telemetry.leader import Lease
from k1_telemetry.meters import Meters
from k1_telemetry.throttle import Throttle

SOURCE: Final = "telemetry"
REFRESH_S: Final = 1.5
"""Presence lives for six seconds: a standby that takes over within four finds every device still there."""
_LONGEST_PAUSE_S: Final = 2.0
_READ_PATIENCE_S: Final = 0.5
_READ_TRIES: Final = 2
_MOST_AT_ONCE: Final = 256
_SUBJECTS: Final[dict[type[Fact], str]] = {
    DeviceOnline: subjects.DEVICE_ONLINE,
    DeviceOffline: subjects.DEVICE_OFFLINE,
    DeviceAlarm: subjects.DEVICE_ALARM,
}
_log = logging.getLogger(__name__)


class Teller:
    """Tells the world; every word needs the lease."""

    def __init__(self, bus: Bus, lease: Lease, meters: Meters, rng: random.Random) -> None:
        """`rng` spreads the retries."""
        self._bus, self._lease, self._meters, self._rng = bus, lease, meters, rng
        self._throttle = Throttle[LiveSample]()
        self._written: OrderedDict[str, float] = OrderedDict()

    async def tell(self, effects: Effects, fleet: Fleet) -> None:
        """All of it; returns when every fact is stored. It may be told again: a fact is known by its id.

        Raises:
            LeaseLostError: it may not all have been told; the process that is active now tells its own.
        """
        self._lease.need()
        samples, effects.samples = effects.samples, []  # live data is not told again
        for sample in samples:
            await self._offer(sample)
        await self._tell_facts(effects.facts)
        for device_id in effects.gone:
            await self._forget(device_id)
        for device_id in effects.present:
            await self._write_presence(fleet, device_id)
        for track_id, event in effects.events:
            await self._bus.client.publish(subjects.live_track(track_id), event.to_json())

    async def tell_held_samples(self) -> None:
        """The newest samples that had to wait for their turn."""
        for _, sample in self._throttle.due(time.monotonic()):
            self._lease.need()
            await self._publish_live(sample)

    async def refresh_presence(self, fleet: Fleet, *, everyone: bool = False) -> None:
        """Say again who is there, a few devices at a time, so that no entry runs out.

        Raises:
            LeaseLostError: nothing more may be said.
        """
        self._lease.need()
        if not self._bus.client.is_connected:
            return
        if everyone:
            self._written = OrderedDict.fromkeys(fleet.online(), 0.0)
        due_s = time.monotonic() - REFRESH_S
        for device_id in [device_id for device_id, at_s in self._written.items() if at_s <= due_s]:
            await self._write_presence(fleet, device_id)

    async def _offer(self, sample: LiveSample) -> None:
        if self._throttle.offer(sample.device_id, sample, time.monotonic()):
            await self._publish_live(sample)
        else:
            self._meters.live.labels("held").inc()

    async def _publish_live(self, sample: LiveSample) -> None:
        body = sample.to_json()
        await self._bus.client.publish(subjects.live_telemetry(sample.device_id), body)
        if sample.track_id is not None:
            await self._bus.client.publish(subjects.live_track(sample.track_id), body)
        self._meters.live.labels("published").inc()

    async def _write_presence(self, fleet: Fleet, device_id: str) -> None:
        presence = fleet.presence(device_id)
        if presence is None:
            return
        # Without waiting for an acknowledgement: what is lost is said again.
        await self._bus.client.publish(_key(device_id), presence.to_json())
        self._written[device_id] = time.monotonic()
        self._written.move_to_end(device_id)

    async def _forget(self, device_id: str) -> None:
        self._throttle.forget(device_id)
        self._written.pop(device_id, None)
        await self._bus.client.publish(_key(device_id), b"", headers={KV_OP: KV_DEL})

    async def _tell_facts(self, facts: list[Fact]) -> None:
        """In their order a device; the facts of different devices side by side."""
        by_device: dict[str, list[Fact]] = {}
        for fact in facts:
            by_device.setdefault(fact.device_id, []).append(fact)
        room = asyncio.Semaphore(_MOST_AT_ONCE)

        async def in_order(mine: list[Fact]) -> None:
            async with room:
                for fact in mine:
                    await self._tell_fact(fact)

        if len(by_device) == 1:
            await in_order(facts)
        elif by_device:
            await asyncio.gather(*map(in_order, by_device.values()))

    async def _tell_fact(self, fact: Fact) -> None:
        subject = _SUBJECTS[type(fact)]
        envelope, body = make_event(
            subject, fact, source=SOURCE, about=fact.device_id, key=_identity(fact), clock=lambda: fact.at
        )
        pause_s = 0.1
        while True:
            self._lease.need()
            try:
                await publish_event(self._bus.broker, subject, envelope, body, stream=streams.EVENTS)
            except TransientError as error:
                _log.warning("fact not stored yet", extra={"subject": subject, "reason": str(error)})
                await asyncio.sleep(pause_s * self._rng.uniform(0.7, 1.3))
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._meters.facts.labels(subject).inc()
                return


async def read_presence(bus: Bus) -> list[Presence]:
    """Who is online by the bucket; entries that cannot be read are left out, and run out.

    Raises:
        nats.errors.Error: the broker does not answer.
    """
    bucket = await bus.jetstream.key_value(streams.PRESENCE.name)
    watcher = await bucket.watchall(ignore_deletes=True)
    found: list[Presence] = []
    try:
        while (entry := await _next_entry(bus, watcher)) is not None:
            try:
                found.append(Presence.model_validate_json(entry.value or b""))
            except ValueError as error:
                _log.warning("unreadable presence", extra={"device": entry.key, "reason": str(error)})
    finally:
        await watcher.stop()
    return found


async def _next_entry(bus: Bus, watcher: KeyValue.KeyWatcher) -> KeyValue.Entry | None:
    """None when that was all.

    The watcher says so itself, but an entry that runs out just now may be waited for in vain: then it is all
    if nothing came although the broker was there.
    """
    for _ in range(_READ_TRIES):
        try:
            entry = await watcher.updates(timeout=_READ_PATIENCE_S)
        except NatsTimeoutError:
            await bus.client.flush()
        else:
            return entry if isinstance(entry, KeyValue.Entry) else None
    _log.warning("the presence bucket did not say that this is all")
    return None


def _key(device_id: str) -> str:
    return f"$KV.{streams.PRESENCE.name}.{device_id}"


def _identity(fact: Fact) -> str:
    """The same for the same change told again, also by another process."""
    if isinstance(fact, DeviceOnline):
        return f"{fact.device_id}:{fact.at.isoformat()}"
    if isinstance(fact, DeviceOffline):
        return f"{fact.device_id}:{fact.last_seen and fact.last_seen.isoformat()}"
    return f"{fact.device_id}:{fact.kind}:{fact.level}:{fact.state}:{rfc3339(fact.since)}"
