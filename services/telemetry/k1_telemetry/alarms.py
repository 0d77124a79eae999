"""Which levels a device has reached: pure, with the time passed in.

Every level is watched for itself, so drift of 60 ms has reached amber and alert, and each `raised` is followed
by one `cleared`. Times are those of `readings.spread`: the broker's clock, never the device's.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from k1_contracts.devices import AlarmKind, AlarmLevel, DeviceAlarm
from k1_telemetry.readings import Reading

CLEAR_AFTER: Final = timedelta(seconds=2)
"""A raised level is cleared when the value has been well inside for this long without a break."""
LONGEST_GAP: Final = timedelta(seconds=2.5)
"""Two readings at the idle rate of one a second may be lost; over a longer gap nothing is said to have lasted."""
AT_ONCE: Final = timedelta(0)
SUSTAINED: Final = timedelta(seconds=5)
_RANK: Final[dict[AlarmLevel, int]] = {"amber": 0, "alert": 1, "alarm": 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """A level: reached when `measure` has been beyond `limit` for `hold`, left at `relief`.

    Low values are the bad ones of a measure with `falling`.
    """

    kind: AlarmKind
    level: AlarmLevel
    name: str
    measure: Callable[[Reading], float]
    limit: float
    relief: float
    hold: timedelta = AT_ONCE
    falling: bool = False

    def is_beyond(self, value: float) -> bool:
        """Exactly the limit is not beyond it."""
        return value < self.limit if self.falling else value > self.limit

    def is_relieved(self, value: float) -> bool:
        """Exactly the relief is."""
        return value >= self.relief if self.falling else value <= self.relief

    @property
    def reason(self) -> str:
        """For example `drift_ms > 100 for 5s`."""
        held = f" for {self.hold.total_seconds():g}s" if self.hold else ""
        return f"{self.name} {'<' if self.falling else '>'} {self.limit:g}{held}"

    @property
    def relief_reason(self) -> str:
        """For example `drift_ms <= 80 for 2s`."""
        sign = ">=" if self.falling else "<="
        return f"{self.name} {sign} {self.relief:g} for {CLEAR_AFTER.total_seconds():g}s"


def _drift(reading: Reading) -> float:
    return abs(reading.drift_ms)


def _temperature(reading: Reading) -> float:
    return reading.temp_c


def _fps(reading: Reading) -> float:
    return reading.fps


RULES: Final[Sequence[Rule]] = (
    Rule("drift", "amber", "drift_ms", _drift, limit=20, relief=16),
    Rule("drift", "alert", "drift_ms", _drift, limit=50, relief=40),
    Rule("drift", "alarm", "drift_ms", _drift, limit=100, relief=80, hold=SUSTAINED),
    Rule("temperature", "alarm", "temp_c", _temperature, limit=80, relief=75),
    Rule("fps", "alarm", "fps", _fps, limit=24, relief=27, hold=SUSTAINED, falling=True),
)


class Level:
    """One rule on one device: calm, beyond for a while, raised, relieved for a while."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.raised: DeviceAlarm | None = None
        self._beyond_since: datetime | None = None
        self._relieved_since: datetime | None = None

    def see(self, value: float, at: datetime) -> Literal["raised", "cleared"] | None:
        """Whether this value changes the level; the caller then sets `raised`."""
        if self.raised is None:
            self._beyond_since = (self._beyond_since or at) if self.rule.is_beyond(value) else None
            reached = self._beyond_since is not None and at - self._beyond_since >= self.rule.hold
            return "raised" if reached else None
        self._relieved_since = (self._relieved_since or at) if self.rule.is_relieved(value) else None
        left = self._relieved_since is not None and at - self._relieved_since >= CLEAR_AFTER
        return "cleared" if left else None

    @property
    def since(self) -> datetime | None:
        """When the condition began."""
        return self.raised.since if self.raised else self._beyond_since

    def forget_durations(self) -> None:
        """Nobody knows what happened since the last reading."""
        self._beyond_since = self._relieved_since = None


class Alarms:
    """The levels of one device."""

    def __init__(self, device_id: str, raised: Iterable[DeviceAlarm] = ()) -> None:
        """`raised`: the highest of each kind, from presence; the lower ones of its kind are reached as well."""
        self._device_id = device_id
        self._levels = [Level(rule) for rule in RULES]
        self._at: datetime | None = None
        highest = {alarm.kind: alarm for alarm in raised}
        for level in self._levels:
            alarm = highest.get(level.rule.kind)
            if alarm and _RANK[level.rule.level] <= _RANK[alarm.level]:
                changes = {"level": level.rule.level, "reason": level.rule.reason}
                level.raised = alarm.model_copy(update=changes)

    def see(self, reading: Reading, at: datetime) -> list[DeviceAlarm]:
        """The levels that this reading raises or clears; readings come in the order of their times."""
        if self._at is not None and at - self._at > LONGEST_GAP:
            for level in self._levels:
                level.forget_durations()
        self._at = at
        changes: list[DeviceAlarm] = []
        for level in self._levels:
            state = level.see(level.rule.measure(reading), at)
            if state is not None:
                changes.append(self._change(level, state, reading, at))
        return changes

    def end(self, at: datetime, reason: str) -> list[DeviceAlarm]:
        """Clear all that is raised, because nothing more is measured."""
        ended: list[DeviceAlarm] = []
        for level in self._levels:
            if level.raised is not None:
                changes = {"state": "cleared", "reason": reason, "at": at}
                ended.append(level.raised.model_copy(update=changes))
                level.raised = None
        return ended

    @property
    def raised(self) -> list[DeviceAlarm]:
        """The highest level of each kind."""
        highest: dict[AlarmKind, DeviceAlarm] = {}
        for level in self._levels:
            if level.raised is not None:
                highest[level.rule.kind] = level.raised
        return list(highest.values())

    def _change(
        self, level: Level, state: Literal["raised", "cleared"], reading: Reading, at: datetime
    ) -> DeviceAlarm:
        rule = level.rule
        alarm = DeviceAlarm(
            device_id=self._device_id,
            kind=rule.kind,
            level=rule.level,
            state=state,
            value=reading.drift_ms if rule.kind == "drift" else rule.measure(reading),
            reason=rule.reason if state == "raised" else rule.relief_reason,
            track_id=reading.track_id,
            since=level.since or at,
            at=at,
        )
        level.raised = alarm if state == "raised" else None
        level.forget_durations()
        return alarm
