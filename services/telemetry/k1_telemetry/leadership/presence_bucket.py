"""Reads the PRESENCE bucket for a new leader, and names its keys for the publisher."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.messages.telemetry import PRESENCE_VALIDITY, Presence
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.jetstream_api import key_subject

_READ_TIMEOUT_S: Final = 0.5
_READ_ATTEMPTS: Final = 2
_log = logging.getLogger(__name__)


def presence_subject(device_id: str) -> str:
    """Return the subject to which a device's entry is written."""
    return key_subject(streams.PRESENCE.name, device_id)


@dataclass(frozen=True, slots=True)
class StoredPresence:
    """What the previous leader left in the bucket."""

    valid: list[Presence] = field(default_factory=list[Presence])
    lapsed: list[Presence] = field(default_factory=list[Presence])
    """Of devices that were online when the previous leader ended, too long ago to say that they are now."""

    def add(self, presence: Presence, age: timedelta) -> None:
        """Add an entry that was written this long ago."""
        (self.valid if age <= PRESENCE_VALIDITY else self.lapsed).append(presence)


async def read_presence(bus: Bus, now: datetime) -> StoredPresence:
    """Return all entries, by the broker's time `now`; skip those that cannot be read, because they expire.

    Raises:
        nats.errors.Error: the broker does not respond.
    """
    bucket = await bus.jetstream.key_value(streams.PRESENCE.name)
    watcher = await bucket.watchall(ignore_deletes=True)
    found = StoredPresence()
    try:
        while (entry := await _next_entry(bus, watcher)) is not None:
            try:
                presence = Presence.model_validate_json(entry.value or b"")
            except ValueError as error:
                _log.warning(
                    "cannot read a presence entry", extra={"device": entry.key, "reason": str(error)}
                )
            else:
                # nats-py declares an int and gives a datetime.
                found.add(presence, now - cast("datetime", entry.created))
    finally:
        await watcher.stop()
    return found


async def _next_entry(bus: Bus, watcher: KeyValue.KeyWatcher) -> KeyValue.Entry | None:
    """Return the next entry, or None after the last.

    The watcher marks the end, but the mark is lost if an entry expires at that moment. Then the end is assumed
    when no entry came although the broker responded.
    """
    for _ in range(_READ_ATTEMPTS):
        try:
            entry = await watcher.updates(timeout=_READ_TIMEOUT_S)
        except NatsTimeoutError:
            await bus.client.flush()
        else:
            return entry if isinstance(entry, KeyValue.Entry) else None
    _log.warning("the presence bucket did not mark the end of its entries")
    return None
