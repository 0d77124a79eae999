"""Defines alarms as rows: one for each time that a device reaches a level, until it is cleared."""

from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, StringConstraints

from k1_contracts.base import NO_NUL, Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.ids import AlarmId, TrackId
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.messages.telemetry import AlarmKind, AlarmLevel
from k1_contracts.rpc import Cursor, Limit
from k1_contracts.streams import EVENTS

AlarmState = Literal["open", "acknowledged", "cleared"]
AlarmNote = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=NO_NUL)]


class Alarm(Contract):
    """A level that a device reached, from `opened_at` until `cleared_at`."""

    id: AlarmId
    device_id: DeviceId
    kind: AlarmKind
    level: AlarmLevel
    state: AlarmState
    raised: bool
    """Whether the condition holds now. An alarm that flaps stays open while this changes."""
    flapping: bool = False
    """The level was reached again and again within a minute: the changes are counted and not published."""
    openings: int = Field(default=1, ge=1)
    """How often the level was reached; more than 1 only while it flaps."""
    value: float | None = None
    reason: str
    """For example `drift_ms > 100 for 5s`."""
    track_id: TrackId | None = None
    """What the device was playing."""
    since: UtcTime
    """When the condition began; for `drift_ms > 100 for 5s` five seconds before `opened_at`."""
    opened_at: UtcTime
    changed_at: UtcTime
    """When the condition last began or ended."""
    acknowledged_at: UtcTime | None = None
    acknowledged_by: str | None = None
    """The name of the person."""
    note: str | None = None
    cleared_at: UtcTime | None = None
    clear_reason: str | None = None


class AlarmOpened(Alarm):
    """A device reached a level, or began to flap."""


class AlarmAcknowledged(Alarm):
    """A person has seen the alarm."""


class AlarmCleared(Alarm):
    """The condition is over; for an alarm that flapped, for a minute."""


class ListAlarms(Contract):
    state: AlarmState | None = None
    device_id: DeviceId | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class AlarmPage(Contract):
    """Alarms, newest first."""

    total: int
    items: list[Alarm]
    next_cursor: Cursor | None = None


class AcknowledgeAlarm(Contract):
    """Say that a person takes care of an alarm. Repeating it changes nothing: the first person and note stay."""

    alarm_id: AlarmId
    note: AlarmNote | None = None


E = TypeVar("E", bound=Alarm)


def _event(subject: str, model: type[E], summary: str) -> Event[E]:
    return Event(
        subject,
        model,
        summary=summary,
        senders=("telemetry",),
        stream=EVENTS,
        subject_id=lambda alarm: alarm.device_id,
        time=lambda alarm: alarm.cleared_at or alarm.acknowledged_at or alarm.opened_at,
        key=lambda alarm: alarm.id,
    )


ALARM_OPENED: Final = _event("alarm.opened", AlarmOpened, "An alarm was opened")
ALARM_ACKNOWLEDGED: Final = _event("alarm.acknowledged", AlarmAcknowledged, "A person acknowledged an alarm")
ALARM_CLEARED: Final = _event("alarm.cleared", AlarmCleared, "An alarm was cleared")
ALARM_LIST: Final = Query(
    "rpc.telemetry.alarm.list", ListAlarms, AlarmPage, summary="The alarms, newest first"
)
ALARM_ACKNOWLEDGE: Final = Query(
    "rpc.telemetry.alarm.acknowledge",
    AcknowledgeAlarm,
    Alarm,
    summary="Acknowledge an alarm",
    role="operator",
)
