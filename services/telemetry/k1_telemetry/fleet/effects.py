"""Defines what the fleet's changes cause: the events, entries, live data and errors to be published."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from k1_contracts import subjects
from k1_contracts.messages.telemetry import (
    DEVICE_READINGS,
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    LiveEvent,
    LiveSample,
)
from k1_telemetry.fleet.readings import Reading

FleetEvent = DeviceOnline | DeviceOffline | DeviceAlarm


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A message of a device that contains an error."""

    device_id: str
    kind: Literal["telemetry", "bye"]
    data: bytes

    @property
    def subject(self) -> str:
        """Return the subject on which the device published the message."""
        if self.kind == "telemetry":
            return DEVICE_READINGS.subject_for(self.device_id)
        return subjects.device(self.device_id, self.kind)


class NewestReading(NamedTuple):
    """The newest reading of a message, which becomes a live sample if it is not held back."""

    device_id: str
    reading: Reading
    at: datetime


def live_sample(device_id: str, reading: Reading, at: datetime) -> LiveSample:
    """Return what is published of a newest reading."""
    return LiveSample(
        timestamp=at,
        device_id=device_id,
        track_id=reading.track_id,
        drift_ms=reading.drift_ms,
        cpu_pct=reading.cpu_pct,
        temp_c=reading.temp_c,
        fps=reading.fps,
        error=reading.error,
    )


@dataclass(slots=True)
class Effects:
    """Collects what is to be published, in order."""

    newest_readings: list[NewestReading] = field(default_factory=list[NewestReading])
    events: list[FleetEvent] = field(default_factory=list[FleetEvent])
    live_events: list[tuple[str, LiveEvent]] = field(default_factory=list[tuple[str, LiveEvent]])
    """Events for the live feeds of tracks, each with the id of its track."""
    presence_changed: dict[str, None] = field(default_factory=dict[str, None])
    """Ids of devices whose presence entry is to be written."""
    presence_removed: dict[str, None] = field(default_factory=dict[str, None])
    """Ids of devices whose presence entry is to be removed."""
    rejected: list[RejectedMessage] = field(default_factory=list[RejectedMessage])
    """Messages for which the device gets an error."""
