"""Keeps the presence bucket in memory: which devices are online.

The telemetry service renews the entry of an online device. An entry that is not renewed in time does not count any more,
although it stays in the bucket, where the next leader of telemetry needs it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from k1_contracts import streams
from k1_contracts.messages.telemetry import PRESENCE_VALIDITY, DeviceAlarm, Presence
from k1_platform.nats.jetstream_api import ANY_KEY, key_of, key_subject

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    presence: Presence
    ends_at: float
    """By the monotonic clock, in s."""


@dataclass(frozen=True, slots=True)
class PresenceCache:
    """The last presence entry of each device."""

    validity_s: float = PRESENCE_VALIDITY.total_seconds()
    clock: Callable[[], float] = time.monotonic
    """Monotonic, in s."""
    _entries: dict[str, _Entry] = field(default_factory=dict[str, _Entry])

    def put(self, device_id: str, presence: Presence, age_s: float = 0.0) -> None:
        """Store an entry that was written `age_s` ago."""
        left = min(max(self.validity_s - age_s, 0.0), self.validity_s)
        self._entries[device_id] = _Entry(presence, self.clock() + left)

    def expire(self, device_id: str) -> None:
        """Mark the entry of a device as expired."""
        known = self._entries.get(device_id)
        if known:
            self._entries[device_id] = _Entry(known.presence, self.clock())

    def is_online(self, device_id: str) -> bool:
        """Return whether the device is online now."""
        known = self._entries.get(device_id)
        return known is not None and known.ends_at > self.clock()

    def last_seen(self, device_id: str) -> datetime | None:
        """Return when the device was last seen, as far as this process knows; also for one that is offline."""
        known = self._entries.get(device_id)
        return known.presence.last_seen if known else None

    def drift_ms(self, device_id: str) -> float | None:
        """Return the drift of the newest reading of a device that is online."""
        known = self._entries.get(device_id)
        return known.presence.drift_ms if known and self.is_online(device_id) else None

    def alarms(self, device_id: str) -> list[DeviceAlarm]:
        """Return the alarms of a device that is online."""
        known = self._entries.get(device_id)
        return known.presence.alarms if known and self.is_online(device_id) else []


@dataclass(frozen=True, slots=True)
class PresenceWatcher:
    """Fills the cache from the bucket."""

    client: Client
    jetstream: JetStreamContext
    cache: PresenceCache = field(default_factory=PresenceCache)

    async def start(self) -> None:
        """Subscribe for as long as the connection lives, and read the existing entries.

        A plain subscription receives what is written to the bucket, and resumes after a lost connection; entries that
        were missed meanwhile are renewed while they are valid.
        """
        await self.client.subscribe(key_subject(streams.PRESENCE.name, ANY_KEY), cb=self._written)
        bucket = await self.jetstream.key_value(streams.PRESENCE.name)
        watcher = await bucket.watchall()
        async for entry in watcher:
            if entry is None:
                break
            if entry.operation is None and entry.value and not self.cache.is_online(entry.key):
                # nats-py declares an int and gives a datetime.
                age = datetime.now(UTC) - cast("datetime", entry.created)
                self._put(entry.key, entry.value, age.total_seconds())
        await watcher.stop()

    async def _written(self, message: Msg) -> None:
        device_id = key_of(streams.PRESENCE.name, message.subject)
        if message.data:
            self._put(device_id, message.data, 0.0)
        else:  # a marker: deleted or purged
            self.cache.expire(device_id)

    def _put(self, device_id: str, value: bytes, age_s: float) -> None:
        try:
            self.cache.put(device_id, Presence.model_validate_json(value), age_s)
        except ValidationError as error:
            reason = error.errors(include_input=False)[0]["msg"]
            _log.warning("presence entry ignored", extra={"device_id": device_id, "reason": reason})
