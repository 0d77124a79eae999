"""Raises and clears the alarms of a device by thresholds with hysteresis; pure, callers pass the time in.

Each level is independent: drift of 60 ms raises amber and alert, and each `raised` is followed by one
`cleared`. Times come from `readings.assign_times`: they are on the broker's clock, never the device's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from k1_contracts.messages.telemetry import AlarmKind, AlarmLevel, DeviceAlarm
from k1_telemetry.fleet.readings import Reading

CLEAR_AFTER: Final = timedelta(seconds=2)
"""A raised level is cleared when the value has passed the clear threshold for this long without a break."""
MAX_GAP: Final = timedelta(seconds=2.5)
"""Two readings at the idle rate of one a second may be lost; a longer gap resets all timers."""
IMMEDIATELY: Final = timedelta(0)
SUSTAINED: Final = timedelta(seconds=5)
RANK: Final[dict[AlarmLevel, int]] = {"amber": 0, "alert": 1, "alarm": 2}


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """When a level is raised and cleared.

    It is raised when `measure` has exceeded `threshold` for `hold`, and cleared at `clear_threshold`. With
    `below`, values under the threshold exceed it.
    """

    kind: AlarmKind
    level: AlarmLevel
    name: str
    measure: Callable[[Reading], float]
    threshold: float
    clear_threshold: float
    hold: timedelta = IMMEDIATELY
    below: bool = False

    def exceeds_threshold(self, value: float) -> bool:
        """Return whether a value exceeds the threshold; the threshold itself does not."""
        return value < self.threshold if self.below else value > self.threshold

    def is_clear(self, value: float) -> bool:
        """Return whether a value passes the clear threshold; the clear threshold itself does."""
        return value >= self.clear_threshold if self.below else value <= self.clear_threshold

    @property
    def reason(self) -> str:
        """Return why the level is raised, for example `drift_ms > 100 for 5s`."""
        duration = f" for {self.hold.total_seconds():g}s" if self.hold else ""
        return f"{self.name} {'<' if self.below else '>'} {self.threshold:g}{duration}"

    @property
    def clear_reason(self) -> str:
        """Return why the level is cleared, for example `drift_ms <= 80 for 2s`."""
        sign = ">=" if self.below else "<="
        return f"{self.name} {sign} {self.clear_threshold:g} for {CLEAR_AFTER.total_seconds():g}s"


def _drift(reading: Reading) -> float:
    return abs(reading.drift_ms)


def _temperature(reading: Reading) -> float:
    return reading.temp_c


def _fps(reading: Reading) -> float:
    return reading.fps


RULES: Final[Sequence[ThresholdRule]] = (
    ThresholdRule("drift", "amber", "drift_ms", _drift, threshold=20, clear_threshold=16),
    ThresholdRule("drift", "alert", "drift_ms", _drift, threshold=50, clear_threshold=40),
    ThresholdRule("drift", "alarm", "drift_ms", _drift, threshold=100, clear_threshold=80, hold=SUSTAINED),
    ThresholdRule("temperature", "alarm", "temp_c", _temperature, threshold=80, clear_threshold=75),
    ThresholdRule("fps", "alarm", "fps", _fps, threshold=24, clear_threshold=27, hold=SUSTAINED, below=True),
)


def _lowest(kind: AlarmKind) -> float:
    """Return the threshold that a value exceeds first."""
    thresholds = [rule.threshold for rule in RULES if rule.kind == kind]
    return max(thresholds) if any(rule.below for rule in RULES if rule.kind == kind) else min(thresholds)


_DRIFT_MS, _TEMP_C, _FPS = _lowest("drift"), _lowest("temperature"), _lowest("fps")


def is_normal(reading: Reading) -> bool:
    """Return whether a reading exceeds no threshold; much faster than asking each rule."""
    return -_DRIFT_MS <= reading.drift_ms <= _DRIFT_MS and reading.temp_c <= _TEMP_C and reading.fps >= _FPS


class LevelState:
    """The state of one rule for one device, with the timers of its hysteresis."""

    def __init__(self, rule: ThresholdRule) -> None:
        self.rule = rule
        self.raised: DeviceAlarm | None = None
        self._exceeded_since: datetime | None = None
        self._clear_since: datetime | None = None

    def update(self, value: float, at: datetime) -> Literal["raised", "cleared"] | None:
        """Return how this value changes the level, or None; the caller then sets `raised`."""
        if self.raised is None:
            self._exceeded_since = (
                (self._exceeded_since or at) if self.rule.exceeds_threshold(value) else None
            )
            is_raised = self._exceeded_since is not None and at - self._exceeded_since >= self.rule.hold
            return "raised" if is_raised else None
        self._clear_since = (self._clear_since or at) if self.rule.is_clear(value) else None
        cleared = self._clear_since is not None and at - self._clear_since >= CLEAR_AFTER
        return "cleared" if cleared else None

    @property
    def since(self) -> datetime | None:
        """Return when the condition began."""
        return self.raised.since if self.raised else self._exceeded_since

    def reset_timers(self) -> None:
        """Reset the timers after a gap in the readings."""
        self._exceeded_since = self._clear_since = None


class AlarmTracker:
    """Tracks the alarms of one device."""

    def __init__(self, device_id: str, raised: Iterable[DeviceAlarm] = ()) -> None:
        """Start with the alarms in `raised`, the highest of each kind; lower levels of a kind are raised as well."""
        self._device_id = device_id
        self._levels = [LevelState(rule) for rule in RULES]
        self._at: datetime | None = None
        highest = {alarm.kind: alarm for alarm in raised}
        for level in self._levels:
            alarm = highest.get(level.rule.kind)
            if alarm and RANK[level.rule.level] <= RANK[alarm.level]:
                changes = {"level": level.rule.level, "reason": level.rule.reason}
                level.raised = alarm.model_copy(update=changes)
        self._is_calm = self._has_no_condition()

    def update(self, reading: Reading, at: datetime) -> list[DeviceAlarm]:
        """Return the alarms that this reading raises or clears; pass readings in the order of their times."""
        if self._is_calm and is_normal(reading):
            self._at = at
            return []
        if self._at is not None and at - self._at > MAX_GAP:
            for level in self._levels:
                level.reset_timers()
        self._at = at
        changes: list[DeviceAlarm] = []
        for level in self._levels:
            state = level.update(level.rule.measure(reading), at)
            if state is not None:
                changes.append(self._change(level, state, reading, at))
        self._is_calm = self._has_no_condition()
        return changes

    def clear_all(self, at: datetime, reason: str) -> list[DeviceAlarm]:
        """Clear and return all raised alarms, because the device sends no more readings."""
        cleared: list[DeviceAlarm] = []
        for level in self._levels:
            if level.raised is not None:
                changes = {"state": "cleared", "reason": reason, "at": at}
                cleared.append(level.raised.model_copy(update=changes))
                level.raised = None
        return cleared

    @property
    def raised(self) -> list[DeviceAlarm]:
        """Return the raised alarms: the highest level of each kind."""
        highest: dict[AlarmKind, DeviceAlarm] = {}
        for level in self._levels:
            if level.raised is not None:
                highest[level.rule.kind] = level.raised
        return list(highest.values())

    def _has_no_condition(self) -> bool:
        """Return whether no level is raised or about to be, so that a normal reading changes nothing."""
        return all(level.since is None for level in self._levels)

    def _change(
        self, level: LevelState, state: Literal["raised", "cleared"], reading: Reading, at: datetime
    ) -> DeviceAlarm:
        rule = level.rule
        alarm = DeviceAlarm(
            device_id=self._device_id,
            kind=rule.kind,
            level=rule.level,
            state=state,
            value=reading.drift_ms if rule.kind == "drift" else rule.measure(reading),
            reason=rule.reason if state == "raised" else rule.clear_reason,
            track_id=reading.track_id,
            since=level.since or at,
            at=at,
        )
        level.raised = alarm if state == "raised" else None
        level.reset_timers()
        return alarm
