"""All devices: what their messages and the passing of time change. Pure, with the time passed in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from k1_contracts.devices import DeviceAlarm, DeviceOffline, DeviceOnline, LiveEvent, LiveSample, Presence
from k1_telemetry.alarms import Alarms
from k1_telemetry.presence import SILENCE, STALE, Attendance, Sight, Stay
from k1_telemetry.readings import Fault, Reading, decode, spread
from k1_telemetry.refusals import Refused
from k1_telemetry.sequences import Judgement, Numbering, Verdict

Fact = DeviceOnline | DeviceOffline | DeviceAlarm
Outcome = Fault | Verdict | Literal["stale"]


@dataclass(slots=True)
class Effects:
    """What the world is to be told, in order."""

    samples: list[LiveSample] = field(default_factory=list[LiveSample])
    facts: list[Fact] = field(default_factory=list[Fact])
    events: list[tuple[str, LiveEvent]] = field(default_factory=list[tuple[str, LiveEvent]])
    """With the track on whose feed they belong."""
    present: dict[str, None] = field(default_factory=dict[str, None])
    """Devices whose presence changed."""
    gone: dict[str, None] = field(default_factory=dict[str, None])
    refused: list[Refused] = field(default_factory=list[Refused])
    """Messages in which something is wrong."""


@dataclass(slots=True)
class Counts:
    """What was read."""

    readings: Counter[Outcome] = field(default_factory=Counter[Outcome])
    missing: int = 0
    clock_jumps: int = 0


@dataclass(slots=True)
class Device:
    """What is remembered of a device while it is online."""

    alarms: Alarms
    numbering: Numbering = field(default_factory=Numbering)
    track_id: str | None = None
    arrived: datetime | None = None
    """Its newest message."""
    unannounced: DeviceOnline | None = None
    """Came online, but on which track's feed to say so is not known yet."""


class Fleet:
    """The devices that are online, with their levels."""

    def __init__(self, presences: Iterable[Presence] = ()) -> None:
        """`presences`: what the process before this one left, so that nothing is told twice."""
        known = list(presences)
        self.counts = Counts()
        self.untold = Effects()
        """What follows from all that was taken in and has not been told to its end."""
        self._attendance = Attendance(Stay(p.device_id, p.online_since, p.last_seen) for p in known)
        self._devices = {p.device_id: Device(Alarms(p.device_id, p.alarms)) for p in known}
        self._silences: dict[str, DeviceAlarm] = {}

    def take_readings(
        self,
        device_id: str,
        data: bytes,
        arrived: datetime,
        effects: Effects,
        *,
        now: datetime,
        redelivered: bool = False,
    ) -> None:
        """A message of readings that reached the broker at `arrived`."""
        readings, faults = decode(data)
        self.counts.readings.update(faults)
        if faults and not redelivered:
            effects.refused.append(Refused(device_id, "telemetry", data))
        if not readings:
            return
        if self._attendance.sent_reading(device_id, arrived, now):
            self._arrive(device_id, arrived, effects)
        device = self._devices.get(device_id)
        if now - arrived > STALE or device is None:  # Without a device it has just said bye.
            self.counts.readings["stale"] += len(readings)
            return
        times = spread(readings, arrived, device.arrived)
        device.arrived = max(arrived, device.arrived or arrived)
        newest = None
        for reading, at in zip(readings, times, strict=True):
            judgement = device.numbering.judge(reading.seq, reading.ts, at, redelivered=redelivered)
            self._count(judgement)
            if judgement.verdict in {"new", "restarted"}:
                newest = reading, at
                self._judge(device, reading, at, effects)
        if newest is not None:
            effects.samples.append(_live(device_id, *newest))

    def take_hello(self, device_id: str, at: datetime, effects: Effects, *, now: datetime) -> None:
        """The device said hello."""
        if self._attendance.said_hello(device_id, at, now):
            self._arrive(device_id, at, effects)

    def take_bye(self, device_id: str, at: datetime, effects: Effects) -> None:
        """The device said bye."""
        stay = self._attendance.said_bye(device_id, at)
        if stay is not None:
            self._leave(stay, at, "bye", effects)

    def pass_time(self, sight: Sight, effects: Effects) -> None:
        """Whoever was silent for too long is offline."""
        for stay in self._attendance.fell_silent(sight):
            track = self._devices[stay.device_id].track_id
            self._leave(stay, sight.until, "silence", effects)
            silence = _silence(stay, track, sight.until)
            self._silences[stay.device_id] = silence
            self._tell([silence], track, effects)

    def presence(self, device_id: str) -> Presence | None:
        """What the presence bucket should hold; None for a device that is offline."""
        stay = self._attendance.get(device_id)
        if stay is None:
            return None
        return Presence(
            device_id=device_id,
            online_since=stay.since,
            last_seen=stay.last_seen,
            alarms=self._devices[device_id].alarms.raised,
        )

    def online(self) -> list[str]:
        """The devices that are."""
        return list(self._devices)

    def raised(self) -> Counter[tuple[str, str]]:
        """How many devices have each kind of alarm at which level, silence included."""
        alarms = [alarm for device in self._devices.values() for alarm in device.alarms.raised]
        return Counter((alarm.kind, alarm.level) for alarm in [*alarms, *self._silences.values()])

    def _count(self, judgement: Judgement) -> None:
        self.counts.readings[judgement.verdict] += 1
        self.counts.missing += judgement.missing
        self.counts.clock_jumps += judgement.clock_jumped

    def _arrive(self, device_id: str, at: datetime, effects: Effects) -> None:
        online = DeviceOnline(device_id=device_id, at=at)
        self._devices[device_id] = Device(Alarms(device_id), unannounced=online)
        effects.facts.append(online)
        effects.present[device_id] = None
        effects.gone.pop(device_id, None)
        silence = self._silences.pop(device_id, None)
        if silence is not None:
            ended = {"state": "cleared", "reason": "heard again", "at": at}
            self._tell([silence.model_copy(update=ended)], silence.track_id, effects)

    def _judge(self, device: Device, reading: Reading, at: datetime, effects: Effects) -> None:
        device.track_id = reading.track_id
        if device.unannounced is not None and device.track_id is not None:
            effects.events.append((device.track_id, _event("online", device.unannounced)))
            device.unannounced = None
        self._tell(device.alarms.see(reading, at), reading.track_id, effects)

    def _leave(self, stay: Stay, at: datetime, reason: Literal["bye", "silence"], effects: Effects) -> None:
        device = self._devices.pop(stay.device_id)
        offline = DeviceOffline(device_id=stay.device_id, reason=reason, last_seen=stay.last_seen, at=at)
        effects.facts.append(offline)
        if device.track_id is not None:
            effects.events.append((device.track_id, _event("offline", offline)))
        self._tell(device.alarms.end(at, "the device is offline"), device.track_id, effects)
        effects.present.pop(stay.device_id, None)
        effects.gone[stay.device_id] = None

    def _tell(self, alarms: Iterable[DeviceAlarm], track_id: str | None, effects: Effects) -> None:
        for alarm in alarms:
            effects.facts.append(alarm)
            if alarm.device_id in self._devices:
                effects.present[alarm.device_id] = None
            if track_id is not None:
                effects.events.append((track_id, _event("alarm", alarm)))


def _live(device_id: str, reading: Reading, at: datetime) -> LiveSample:
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


def _silence(stay: Stay, track_id: str | None, at: datetime) -> DeviceAlarm:
    return DeviceAlarm(
        device_id=stay.device_id,
        kind="silence",
        level="alarm",
        state="raised",
        reason=f"silent for {SILENCE.total_seconds():g}s",
        track_id=track_id,
        since=stay.last_seen,
        at=at,
    )


def _event(name: str, fact: Fact) -> LiveEvent:
    return LiveEvent(event=name, timestamp=fact.at, details=fact.model_dump(mode="json", exclude_none=True))
