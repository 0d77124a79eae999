"""Updates the state of all devices from their messages and from the time; pure, callers pass the time in."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from k1_contracts.messages.telemetry import (
    DeviceAlarm,
    DeviceOffline,
    DeviceOnline,
    LiveEvent,
    Presence,
)
from k1_telemetry.fleet.alarms import AlarmTracker
from k1_telemetry.fleet.effects import Effects, FleetEvent, NewestReading, RejectedMessage
from k1_telemetry.fleet.presence import MAX_AGE, SILENCE_TIMEOUT, PresenceTracker, Session, Watermark
from k1_telemetry.fleet.readings import Fault, Reading, assign_times, decode
from k1_telemetry.fleet.sequences import NEXT, SequenceResult, SequenceStatus, SequenceTracker

Outcome = Fault | SequenceStatus | Literal["stale"]


@dataclass(slots=True)
class Counts:
    """Counts of the readings since the metrics were last updated."""

    readings: Counter[Outcome] = field(default_factory=Counter[Outcome])
    missing: int = 0
    clock_jumps: int = 0
    by_device: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """For each device: `received`, `missing`, `duplicate`, `late`, `restarted`, `rejected`, `clock_jumps`."""


@dataclass(slots=True)
class Device:
    """The state of a device while it is online."""

    alarms: AlarmTracker
    sequence: SequenceTracker = field(default_factory=SequenceTracker)
    track_id: str | None = None
    drift_ms: float | None = None
    """Of the newest reading."""
    last_arrival: datetime | None = None
    """When its newest message reached the broker."""
    pending_online: DeviceOnline | None = None
    """The event for the feed of the device's track, kept until the track is known."""


class Fleet:
    """Holds the devices that are online, with their alarms."""

    def __init__(self, presences: Iterable[Presence] = (), lapsed: Iterable[Presence] = ()) -> None:
        """Start with the presence that the previous leader left, so that no event is lost or published twice.

        The devices in `lapsed` were online too long ago to count as online now. One that sends nothing goes offline as
        any other; one that sends stays online.
        """
        valid, lapsed = list(presences), list(lapsed)
        known = [*valid, *lapsed]
        self.counts = Counts()
        self.unpublished = Effects()
        """The effects of processed messages that are not completely published yet."""
        self._presence_tracker = PresenceTracker(
            Session(p.device_id, p.online_since, p.last_seen, is_confirmed=is_valid)
            for entries, is_valid in ((valid, True), (lapsed, False))
            for p in entries
        )
        self._devices = {p.device_id: Device(AlarmTracker(p.device_id, p.alarms)) for p in known}
        self._silence_alarms: dict[str, DeviceAlarm] = {}

    def process_readings(
        self,
        device_id: str,
        data: bytes,
        arrived: datetime,
        effects: Effects,
        *,
        now: datetime,
        redelivered: bool = False,
    ) -> None:
        """Process a message of readings that reached the broker at `arrived`."""
        readings, faults = decode(data)
        counted = self.counts.by_device.get(device_id)
        if counted is None:
            counted = self.counts.by_device[device_id] = Counter()
        counted["received"] += len(readings)
        if faults:
            self.counts.readings.update(faults)
            counted["rejected"] += sum(faults.values())
            if not redelivered:
                effects.rejected.append(RejectedMessage(device_id, "telemetry", data))
        if not readings:
            return
        if self._presence_tracker.record_reading(device_id, arrived, now):
            self._mark_online(device_id, arrived, effects)
        device = self._devices.get(device_id)
        if now - arrived > MAX_AGE or device is None:  # No device: it has just said bye.
            self.counts.readings["stale"] += len(readings)
            return
        times = assign_times(readings, arrived, device.last_arrival)
        device.last_arrival = max(arrived, device.last_arrival or arrived)
        newest = None
        classify = device.sequence.classify
        for reading, at in zip(readings, times, strict=True):
            result = classify(reading.seq, reading.ts, at, redelivered=redelivered)
            self._count(result, counted)
            if result.status in {"new", "restarted"}:
                newest = reading, at
                self._apply_reading(device, reading, at, effects)
        if newest is not None:
            effects.newest_readings.append(NewestReading(device_id, *newest))

    def process_hello(self, device_id: str, at: datetime, effects: Effects, *, now: datetime) -> None:
        """Process a hello of a device."""
        if self._presence_tracker.record_hello(device_id, at, now):
            self._mark_online(device_id, at, effects)

    def process_bye(self, device_id: str, at: datetime, effects: Effects) -> None:
        """Process a bye of a device."""
        session = self._presence_tracker.record_bye(device_id, at)
        if session is not None:
            self._mark_offline(session, at, "bye", effects)

    def detect_silence(self, watermark: Watermark, effects: Effects) -> None:
        """Take devices offline that have been silent for too long, and raise their alarms."""
        for session in self._presence_tracker.expire_silent(watermark):
            track_id = self._devices[session.device_id].track_id
            self._mark_offline(session, watermark.position, "silence", effects)
            alarm = _silence_alarm(session, track_id, watermark.position)
            self._silence_alarms[session.device_id] = alarm
            self._add_alarms([alarm], track_id, effects)

    def presence(self, device_id: str) -> Presence | None:
        """Return the presence entry of a device, or None if it is offline."""
        session = self._presence_tracker.get(device_id)
        if session is None:
            return None
        return Presence(
            device_id=device_id,
            online_since=session.online_since,
            last_seen=session.last_seen,
            drift_ms=self._devices[device_id].drift_ms,
            alarms=self._devices[device_id].alarms.raised,
        )

    def is_confirmed(self, device_id: str) -> bool:
        """Return whether a device counts as online; one whose entry had lapsed does after its next message."""
        session = self._presence_tracker.get(device_id)
        return session is not None and session.is_confirmed

    def online_devices(self) -> list[str]:
        """Return the ids of the devices that are online, also of those that are not confirmed yet."""
        return list(self._devices)

    def count_alarms(self) -> Counter[tuple[str, str]]:
        """Return the number of devices for each kind and level of alarm, including silence."""
        alarms = [alarm for device in self._devices.values() for alarm in device.alarms.raised]
        return Counter((alarm.kind, alarm.level) for alarm in [*alarms, *self._silence_alarms.values()])

    def _count(self, result: SequenceResult, counted: Counter[str]) -> None:
        self.counts.readings[result.status] += 1
        if result is NEXT:
            return
        self.counts.missing += result.missing
        self.counts.clock_jumps += result.clock_jumped
        if result.status != "new" or result.missing or result.clock_jumped:
            counted[result.status] += result.status != "new"
            counted["missing"] += result.missing
            counted["clock_jumps"] += result.clock_jumped

    def _mark_online(self, device_id: str, at: datetime, effects: Effects) -> None:
        online = DeviceOnline(device_id=device_id, at=at)
        self._devices[device_id] = Device(AlarmTracker(device_id), pending_online=online)
        effects.events.append(online)
        effects.presence_changed[device_id] = None
        effects.presence_removed.pop(device_id, None)
        alarm = self._silence_alarms.pop(device_id, None)
        if alarm is not None:
            changes = {"state": "cleared", "reason": "heard again", "at": at}
            self._add_alarms([alarm.model_copy(update=changes)], alarm.track_id, effects)

    def _apply_reading(self, device: Device, reading: Reading, at: datetime, effects: Effects) -> None:
        device.track_id, device.drift_ms = reading.track_id, reading.drift_ms
        if device.pending_online is not None and device.track_id is not None:
            effects.live_events.append((device.track_id, _live_event("online", device.pending_online)))
            device.pending_online = None
        alarms = device.alarms.update(reading, at)
        if alarms:
            self._add_alarms(alarms, reading.track_id, effects)

    def _mark_offline(
        self, session: Session, at: datetime, reason: Literal["bye", "silence"], effects: Effects
    ) -> None:
        device = self._devices.pop(session.device_id)
        offline = DeviceOffline(
            device_id=session.device_id, reason=reason, last_seen=session.last_seen, at=at
        )
        effects.events.append(offline)
        if device.track_id is not None:
            effects.live_events.append((device.track_id, _live_event("offline", offline)))
        self._add_alarms(device.alarms.clear_all(at, "the device is offline"), device.track_id, effects)
        effects.presence_changed.pop(session.device_id, None)
        effects.presence_removed[session.device_id] = None

    def _add_alarms(self, alarms: Iterable[DeviceAlarm], track_id: str | None, effects: Effects) -> None:
        for alarm in alarms:
            effects.events.append(alarm)
            if alarm.device_id in self._devices:
                effects.presence_changed[alarm.device_id] = None
            if track_id is not None:
                effects.live_events.append((track_id, _live_event("alarm", alarm)))


def _silence_alarm(session: Session, track_id: str | None, at: datetime) -> DeviceAlarm:
    return DeviceAlarm(
        device_id=session.device_id,
        kind="silence",
        level="alarm",
        state="raised",
        reason=f"silent for {SILENCE_TIMEOUT.total_seconds():g}s",
        track_id=track_id,
        since=session.last_seen,
        at=at,
    )


def _live_event(name: str, event: FleetEvent) -> LiveEvent:
    return LiveEvent(event=name, timestamp=event.at, details=event.model_dump(mode="json", exclude_none=True))
