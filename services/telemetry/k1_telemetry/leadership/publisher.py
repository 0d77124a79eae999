"""Publishes what the fleet's changes cause: events, presence entries and live data.

Events and the removal of presence entries are retried until they are stored. Presence is written again at intervals.
Live data may be lost.
"""

import asyncio
import itertools
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeVar

from nats.errors import Error as NatsError
from nats.js.kv import KV_DEL, KV_OP

from k1_contracts.descriptors import Publication
from k1_contracts.messages.telemetry import (
    DEVICE_ALARM,
    DEVICE_OFFLINE,
    DEVICE_ONLINE,
    LIVE_READING,
    LIVE_TRACK,
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
)
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.streams.bulk import publish_all
from k1_platform.nats.streams.publisher import publish
from k1_platform.processes.backoff import BackoffSchedule
from k1_telemetry.fleet.effects import Effects, FleetEvent, NewestReading, live_sample
from k1_telemetry.fleet.fleet import Fleet
from k1_telemetry.leadership.lease import LeaderLease
from k1_telemetry.leadership.metrics import Metrics
from k1_telemetry.leadership.presence_bucket import presence_subject
from k1_telemetry.leadership.throttle import Throttle

SOURCE: Final = "telemetry"
PRESENCE_REFRESH_S: Final = 1.5
"""Entries are valid for six seconds, so a device stays online while a standby takes over within four."""
PUBLISH_BACKOFF: Final = BackoffSchedule(first_s=0.1, max_s=2.0, jitter=(0.7, 1.3))
"""The pauses after the stream did not confirm an event."""
_MAX_CONCURRENT_DEVICES: Final = 256
D = TypeVar("D")
_log = logging.getLogger(__name__)


class EventPublisher:
    """Publishes for the leader; every publish requires the lease."""

    def __init__(self, bus: Bus, lease: LeaderLease, metrics: Metrics, rng: random.Random) -> None:
        """Create a publisher; `rng` adds jitter to the retries."""
        self._bus, self._lease, self._metrics, self._rng = bus, lease, metrics, rng
        self._throttle = Throttle[NewestReading]()
        self._presence_written_s: OrderedDict[str, float] = OrderedDict()

    async def publish(self, effects: Effects, fleet: Fleet) -> None:
        """Publish all effects; return when every event is stored.

        The same effects may be published again, because the id of an event makes it idempotent.

        Raises:
            LeadershipLostError: some effects may not be published; the new leader publishes its own.
        """
        self._lease.require()
        readings, effects.newest_readings = effects.newest_readings, []  # live data is not published twice
        now_s = time.monotonic()
        passed = [each for each in readings if self._throttle.offer(each.device_id, each, now_s)]
        self._metrics.live.labels("held").inc(len(readings) - len(passed))
        await self._publish_live(passed)
        await self._publish_events(effects.events)
        await _for_each_device(self._remove_presence, effects.presence_removed)
        for device_id in effects.presence_changed:
            await self._write_presence(fleet, device_id)
        for track_id, event in effects.live_events:
            await self._bus.client.publish(LIVE_TRACK.subject_for(track_id), event.to_json())

    @property
    def holds_samples(self) -> bool:
        """Return whether the throttle holds a sample."""
        return self._throttle.holds_items

    async def publish_held_samples(self) -> None:
        """Publish the newest samples that the throttle held and now passes."""
        due = [each for _, each in self._throttle.due(time.monotonic())]
        if due:
            self._lease.require()
            await self._publish_live(due)

    async def refresh_presence(self, fleet: Fleet, *, all_devices: bool = False) -> None:
        """Write the presence entries that are due, or schedule all devices first, so that no entry expires.

        Raises:
            LeadershipLostError: nothing more may be published.
        """
        self._lease.require()
        if not self._bus.client.is_connected:
            return
        if all_devices:
            self._presence_written_s = OrderedDict.fromkeys(fleet.online_devices(), 0.0)
        due_s = time.monotonic() - PRESENCE_REFRESH_S
        for device_id in [device_id for device_id, at_s in self._presence_written_s.items() if at_s <= due_s]:
            await self._write_presence(fleet, device_id)

    async def _publish_live(self, readings: Sequence[NewestReading]) -> None:
        messages: list[tuple[str, bytes]] = []
        for device_id, reading, at in readings:
            body = live_sample(device_id, reading, at).to_json()
            messages.append((LIVE_READING.subject_for(device_id), body))
            if reading.track_id is not None:
                messages.append((LIVE_TRACK.subject_for(reading.track_id), body))
        await publish_all(self._bus.client, messages)
        self._metrics.live.labels("published").inc(len(readings))

    async def _write_presence(self, fleet: Fleet, device_id: str) -> None:
        presence = fleet.presence(device_id)
        if presence is None or not fleet.is_confirmed(device_id):
            return
        # No acknowledgement is awaited: a lost entry is written again at the next refresh.
        await self._bus.client.publish(presence_subject(device_id), presence.to_json())
        self._presence_written_s[device_id] = time.monotonic()
        self._presence_written_s.move_to_end(device_id)

    async def _remove_presence(self, device_id: str) -> None:
        """Remove the entry of a device; return when that is stored.

        The next leader would publish that the device is offline once more if the entry were left.
        """
        self._throttle.forget(device_id)
        self._presence_written_s.pop(device_id, None)
        subject = presence_subject(device_id)
        await self._until_stored(subject, lambda: self._delete_entry(subject))

    async def _delete_entry(self, subject: str) -> None:
        try:
            await self._bus.jetstream.publish(subject, b"", headers={KV_OP: KV_DEL})
        except (NatsError, TimeoutError, OSError) as error:
            raise TransientError(f"the removal was not confirmed: {error!r}") from error

    async def _publish_events(self, events: list[FleetEvent]) -> None:
        """Publish the events of one device in order, and those of different devices concurrently."""
        by_device: dict[str, list[FleetEvent]] = {}
        for event in events:
            by_device.setdefault(event.device_id, []).append(event)

        async def publish_in_order(device_events: list[FleetEvent]) -> None:
            for event in device_events:
                await self._publish_event(event)

        await _for_each_device(publish_in_order, by_device.values())

    async def _publish_event(self, change: FleetEvent) -> None:
        event = _publication(change)
        subject = event.message.subject
        await self._until_stored(
            subject, lambda: publish(self._bus.broker, event.message, event.body, source=SOURCE)
        )
        self._metrics.events.labels(subject).inc()

    async def _until_stored(self, subject: str, store: Callable[[], Awaitable[None]]) -> None:
        """Repeat `store` until the broker has confirmed it."""
        for failures in itertools.count(1):
            self._lease.require()
            try:
                await store()
            except TransientError as error:
                _log.warning("not stored yet", extra={"subject": subject, "reason": str(error)})
                await asyncio.sleep(PUBLISH_BACKOFF.pause_s(failures, self._rng))
            else:
                return


async def _for_each_device(work: Callable[[D], Awaitable[None]], devices: Collection[D]) -> None:
    """Do the work of different devices concurrently."""
    semaphore = asyncio.Semaphore(_MAX_CONCURRENT_DEVICES)

    async def limited(device: D) -> None:
        async with semaphore:
            await work(device)

    if len(devices) == 1:
        await work(*devices)
    elif devices:
        await asyncio.gather(*map(limited, devices))


def _publication(event: FleetEvent) -> Publication[Any]:
    match event:
        case DeviceOnline():
            return Publication(DEVICE_ONLINE, event)
        case DeviceOffline():
            return Publication(DEVICE_OFFLINE, event)
        case DeviceAlarm():
            return Publication(DEVICE_ALARM, event)
