"""Defines the readings of devices, their presence, their alarms and the live feed."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, RootModel

from k1_contracts.base import Contract, JsonObject, UtcTime, rfc3339
from k1_contracts.descriptors import DeviceMessage, Event, LiveMessage
from k1_contracts.ids import TrackId
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.streams import EVENTS, LIVE, LIVE_TRACKS, TELEMETRY
from k1_contracts.tracks import Version

MAX_POSITION_MS: Final = 7 * 24 * 3600 * 1000
"""A week: a bundle may go on running after its song."""


class TelemetrySample(Contract):
    """One reading: ten a second while a show plays, one a second otherwise."""

    ts: float = Field(ge=-1e15, le=1e15)
    """Milliseconds, device clock."""
    seq: int = Field(ge=0)
    """Rises by one with every reading since the device's start."""
    track_id: TrackId | None = None
    drift_ms: float = Field(ge=-1e9, le=1e9)
    cpu_pct: float = Field(ge=0, le=100)
    temp_c: float = Field(ge=-60, le=200)
    fps: float = Field(ge=0, le=1000)
    heap_free: int = Field(ge=0)
    rssi: int = Field(ge=-150, le=50)
    error: Annotated[str, Field(max_length=200)] | None = None
    version: Version | None = None
    """Of the bundle that plays, as in `stage`."""
    position_ms: Annotated[float, Field(ge=0, le=MAX_POSITION_MS)] | None = None
    """Where the show is: milliseconds since the beginning of the song, also beyond its end. None while no song plays,
    and where the device does not know it."""


class TelemetryBody(RootModel[TelemetrySample | Annotated[list[TelemetrySample], Field(max_length=1000)]]):
    """One reading, or several with the newest last."""


AlarmKind = Literal["drift", "temperature", "fps", "silence", "credential"]
"""`credential`: it is used by two connections, or not as the credential file says."""
AlarmLevel = Literal["amber", "alert", "alarm"]


class DeviceOnline(Contract):
    """A device said hello, or was heard again after a silence."""

    device_id: DeviceId
    at: UtcTime


class DeviceOffline(Contract):
    """A device said bye, or was silent for five seconds."""

    device_id: DeviceId
    reason: Literal["bye", "silence"]
    last_seen: UtcTime | None = None
    at: UtcTime


class DeviceAlarm(Contract):
    """A level was reached (`raised`) or left (`cleared`)."""

    device_id: DeviceId
    kind: AlarmKind
    level: AlarmLevel
    state: Literal["raised", "cleared"]
    value: float | None = None
    reason: str
    """For example `drift_ms > 100 for 5s`."""
    track_id: TrackId | None = None
    """What the device was playing."""
    since: UtcTime
    """When the condition began."""
    at: UtcTime


PRESENCE_VALIDITY: Final = timedelta(seconds=6)
"""How long an entry of the presence bucket counts after it was written. It stays longer in the bucket, so that the next
leader of telemetry knows which devices were online, however long there was none."""


class Presence(Contract):
    """The value of a device in the presence bucket; a device without one, or with one that is too old, is offline."""

    device_id: DeviceId
    online_since: UtcTime
    last_seen: UtcTime
    drift_ms: float | None = None
    """Of the newest reading, at most two seconds old; None before the first."""
    alarms: list[DeviceAlarm] = Field(default_factory=list[DeviceAlarm])
    """Raised and not cleared, one a kind: the highest level."""


class LiveSample(Contract):
    """The newest reading of a device, at most ten times a second."""

    timestamp: UtcTime
    device_id: DeviceId
    track_id: TrackId | None = None
    drift_ms: float
    cpu_pct: float
    temp_c: float
    fps: float
    error: str | None = None


class LiveEvent(Contract):
    """What happened, on the live feed of a track: `alarm`, `online`, `offline`, `auto_rollback` ..."""

    event: str
    timestamp: UtcTime
    details: JsonObject


class LiveItem(RootModel[LiveSample | LiveEvent]):
    """One thing on the live feed of a track."""


def _device_id(event: DeviceOnline | DeviceOffline | DeviceAlarm) -> str:
    return event.device_id


def _at(event: DeviceOnline | DeviceOffline | DeviceAlarm) -> datetime:
    return event.at


DEVICE_ONLINE: Final = Event(
    "device.online",
    DeviceOnline,
    summary="A device is there",
    senders=("telemetry",),
    receivers=("telemetry",),
    stream=EVENTS,
    subject_id=_device_id,
    time=_at,
    key=lambda event: f"{event.device_id}:{event.at.isoformat()}",
)
DEVICE_OFFLINE: Final = Event(
    "device.offline",
    DeviceOffline,
    summary="A device is gone",
    senders=("telemetry",),
    receivers=("telemetry",),
    stream=EVENTS,
    subject_id=_device_id,
    time=_at,
    key=lambda event: f"{event.device_id}:{event.last_seen and event.last_seen.isoformat()}",
)
DEVICE_ALARM: Final = Event(
    "device.alarm",
    DeviceAlarm,
    summary="A level was reached or left",
    senders=("telemetry", "deploy"),
    receivers=("deploy", "telemetry"),
    stream=EVENTS,
    subject_id=_device_id,
    time=_at,
    key=lambda event: f"{event.device_id}:{event.kind}:{event.level}:{event.state}:{rfc3339(event.since)}",
)
DEVICE_READINGS: Final = DeviceMessage(
    "telemetry.{device_id}",
    TelemetryBody,
    summary="Readings of one device",
    senders=("device",),
    receivers=("telemetry",),
    stream=TELEMETRY,
)
LIVE_READING: Final = LiveMessage(
    "live.telemetry.{device_id}",
    LiveSample,
    summary="The newest reading of a device",
    senders=("telemetry",),
    receivers=("gateway", "deploy"),
    stream=LIVE,
)
LIVE_TRACK: Final = LiveMessage(
    "live.track.{track_id}",
    LiveItem,
    summary="Readings and events of the devices that play a track",
    senders=("telemetry", "deploy"),
    receivers=("gateway",),
    stream=LIVE_TRACKS,
)
