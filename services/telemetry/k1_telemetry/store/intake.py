"""Reads the messages of devices for the store: valid readings on one side, bad ones with the reason on the other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.durables import TELEMETRY_STORE
from k1_contracts.messages.deploy.device_link import DEVICE_ID
from k1_platform.nats.jetstream_api import DeliveryInfo, delivery_info
from k1_telemetry.fleet.effects import RejectedMessage
from k1_telemetry.fleet.readings import MAX_BYTES, MAX_READINGS, Reading, decode, to_reading
from k1_telemetry.message_errors import explain
from k1_telemetry.store.columns import SampleMessage
from k1_telemetry.store.device_clocks import MAX_AGE_MS, DeviceClocks

ARRIVED_HEADER: Final = "k1-arrived-us"
"""When the message of a bad sample arrived first; the sample keeps this time when it is redriven."""


@dataclass(frozen=True, slots=True)
class BadSamples:
    """What of one message is not stored, and why."""

    delivery: DeliveryInfo
    subject: str
    arrived_us: int
    code: str
    reason: str
    count: int
    body: bytes


class Intake:
    """Decodes messages and corrects the clocks of their devices."""

    def __init__(self) -> None:
        self._clocks = DeviceClocks()

    def read(self, message: Msg) -> tuple[SampleMessage | None, list[BadSamples]]:
        """Return the valid readings of a message, and the bad ones by reason; nothing of a message for another durable."""
        if not TELEMETRY_STORE.receives(message.subject):
            return None, []
        delivery = delivery_info(message)
        headers = message.headers
        redriven = headers is not None and ARRIVED_HEADER in headers
        arrived_us = int(headers[ARRIVED_HEADER]) if headers is not None and redriven else delivery.arrived_us
        subject = subjects.original(message.subject)
        device_id = subject.partition(".")[2]
        if not DEVICE_ID.fullmatch(device_id):
            return None, [
                BadSamples(delivery, subject, arrived_us, "wrong_id", "no id of a device", 1, message.data)
            ]
        readings, faults = decode(message.data)
        bad = [self._rejected(delivery, subject, arrived_us, message.data)] if faults else []
        if not readings:
            return None, bad
        arrived_ms = arrived_us / 1000
        offset_ms = self._clocks.update(device_id, readings[-1].ts, arrived_ms)
        oldest_ms = arrived_ms - offset_ms - MAX_AGE_MS
        if len(readings) > 1 and min([reading.ts for reading in readings]) < oldest_ms:
            old = [reading for reading in readings if reading.ts < oldest_ms]
            readings = [reading for reading in readings if reading.ts >= oldest_ms]
            bad.append(_too_old(delivery, subject, arrived_us, old))
        return SampleMessage(delivery.sequence, arrived_us, device_id, offset_ms, readings), bad

    def _rejected(self, delivery: DeliveryInfo, subject: str, arrived_us: int, data: bytes) -> BadSamples:
        error = explain(RejectedMessage(subject.partition(".")[2], "telemetry", data))
        body, count = bad_part(data)
        return BadSamples(delivery, subject, arrived_us, error.code, error.message, count, body)


def bad_part(data: bytes) -> tuple[bytes, int]:
    """Return the readings of a faulty message that are not valid, as JSON, and their number.

    A message that is no JSON, or has too many readings, is bad as a whole and counts as one.
    """
    if len(data) > MAX_BYTES:
        return data, 1
    try:
        parsed: object = json.loads(data)
    except (ValueError, RecursionError):
        return data, 1
    if not isinstance(parsed, list):
        return data, 1
    items = cast("list[Any]", parsed)
    if len(items) > MAX_READINGS:
        return data, 1
    bad = [item for item in items if to_reading(item) is None]
    return json.dumps(bad).encode(), len(bad)


def _too_old(
    delivery: DeliveryInfo, subject: str, arrived_us: int, readings: Sequence[Reading]
) -> BadSamples:
    reason = "ts: over an hour before the message arrived. Send readings at once, with the newest last."
    return BadSamples(
        delivery, subject, arrived_us, "clock", reason, len(readings), msgspec.json.encode(readings)
    )
