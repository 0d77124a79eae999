"""Which devices are there: the presence bucket, kept in memory.

The telemetry service writes a device's entry every now and then while it hears it; an entry that is not
written again has ended after the bucket's time to live. That is counted here as well, because the end of an
entry is not always announced.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from k1_contracts import streams
from k1_contracts.messages.telemetry import DeviceAlarm, Presence

_PREFIX: Final = f"$KV.{streams.PRESENCE.name}."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    presence: Presence
    ends_at: float
    """By the monotonic clock, in s."""


class PresenceTable:
    """What was last heard of each device."""

    def __init__(self, ttl_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic, in s."""
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def put(self, device_id: str, presence: Presence, age_s: float = 0.0) -> None:
        """Note an entry that was written `age_s` ago."""
        left = min(max(self._ttl_s - age_s, 0.0), self._ttl_s)
        self._entries[device_id] = _Entry(presence, self._clock() + left)

    def end(self, device_id: str) -> None:
        """The entry was taken away."""
        known = self._entries.get(device_id)
        if known:
            self._entries[device_id] = _Entry(known.presence, self._clock())

    def is_online(self, device_id: str) -> bool:
        """Whether the device is there now."""
        known = self._entries.get(device_id)
        return known is not None and known.ends_at > self._clock()

    def last_seen(self, device_id: str) -> datetime | None:
        """When it was last heard, as far as this process knows; also of a device that is gone."""
        known = self._entries.get(device_id)
        return known.presence.last_seen if known else None

    def alarms(self, device_id: str) -> list[DeviceAlarm]:
        """What is raised for a device that is there."""
        known = self._entries.get(device_id)
        return known.presence.alarms if known and self.is_online(device_id) else []


class PresenceWatch:
    """Fills the table from the bucket."""

    def __init__(self, client: Client, jetstream: JetStreamContext) -> None:
        ttl = streams.PRESENCE.ttl
        assert ttl is not None
        self.table = PresenceTable(ttl.total_seconds())
        self._client = client
        self._jetstream = jetstream

    async def start(self) -> None:
        """Listen for as long as the connection lives; read what is there already.

        A plain subscription sees what is written to the bucket, and comes back by itself after a lost
        connection; what it misses meanwhile is written again within the time to live.
        """
        await self._client.subscribe(f"{_PREFIX}*", cb=self._written)
        bucket = await self._jetstream.key_value(streams.PRESENCE.name)
        watcher = await bucket.watchall()
        async for entry in watcher:
            if entry is None:
                break
            if entry.operation is None and entry.value and not self.table.is_online(entry.key):
                # nats-py declares an int and gives a datetime.
                age = datetime.now(UTC) - cast("datetime", entry.created)
                self._put(entry.key, entry.value, age.total_seconds())
        await watcher.stop()

    async def _written(self, message: Msg) -> None:
        device_id = message.subject.removeprefix(_PREFIX)
        if message.data:
            self._put(device_id, message.data, 0.0)
        else:  # a marker: deleted, purged or ended
            self.table.end(device_id)

    def _put(self, device_id: str, value: bytes, age_s: float) -> None:
        try:
            self.table.put(device_id, Presence.model_validate_json(value), age_s)
        except ValidationError as error:
            reason = error.errors(include_input=False)[0]["msg"]
            _log.warning("presence entry ignored", extra={"device_id": device_id, "reason": reason})
