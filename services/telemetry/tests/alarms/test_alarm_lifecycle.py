"""Tests how the rows of alarms change, on simulated time, at the exact boundaries."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.alarms import Alarm
from k1_contracts.messages.telemetry import DeviceAlarm, Presence
from k1_telemetry.alarms.lifecycle import (
    FLAP_OPENINGS,
    FLAP_QUIET,
    FLAP_WINDOW,
    acknowledge,
    record_event,
    settle,
)
from k1_telemetry.alarms.reconciliation import SETTLING, find_missed_end
from services.telemetry.tests.samples import at

MICROSECOND = timedelta(microseconds=1)
WINDOW_S = FLAP_WINDOW.total_seconds()


def event(state: str, seconds: float, since: float | None = None, **changes: Any) -> DeviceAlarm:
    return DeviceAlarm.model_validate(
        {
            "device_id": "k1-a",
            "kind": "drift",
            "level": "alert",
            "state": state,
            "reason": f"{state} at {seconds}",
            "since": at(seconds if since is None else since),
            "at": at(seconds),
            **changes,
        }
    )


class Rows:
    """The rows of one level, and the events that were published, as (name, id)."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.published: list[tuple[str, str]] = []

    def record(self, *events: DeviceAlarm) -> None:
        for each in events:
            newest = max(self.alarms, key=lambda alarm: (alarm.opened_at, alarm.id), default=None)
            openings = [alarm.opened_at for alarm in self.alarms]
            new_id = f"alm_01K9Z6Q3T4V8W2X0Y1Z5A7{len(self.alarms):04}"
            self._apply(record_event(each, newest, openings, new_id))

    def settle(self, now: Any) -> None:
        self._apply(settle(self.alarms[-1], now))

    def _apply(self, change: Any) -> None:
        if change is None:
            return
        kept = [alarm for alarm in self.alarms if alarm.id != change.alarm.id]
        self.alarms = [*kept, change.alarm]
        self.published += [(each.message.subject, each.body.id) for each in change.events]

    @property
    def names(self) -> list[str]:
        return [name.removeprefix("alarm.") for name, _ in self.published]


def flap(times: Iterable[float], length: float = 2.0) -> list[DeviceAlarm]:
    """Return a raised and a cleared event for each time."""
    return [
        each
        for seconds in times
        for each in (event("raised", seconds), event("cleared", seconds + length, seconds))
    ]


def test_an_alarm_is_opened_and_cleared_once() -> None:
    """It keeps when the condition began and why it was raised and cleared."""
    rows = Rows()
    rows.record(event("raised", 5, since=0), event("cleared", 9, since=0))
    (alarm,) = rows.alarms
    assert (alarm.state, alarm.raised, alarm.openings, alarm.flapping) == ("cleared", False, 1, False)
    assert (alarm.since, alarm.opened_at, alarm.cleared_at) == (at(0), at(5), at(9))
    assert (alarm.reason, alarm.clear_reason) == ("raised at 5", "cleared at 9")
    assert rows.names == ["opened", "cleared"]


def test_an_event_that_comes_twice_or_from_a_second_leader_changes_nothing() -> None:
    """A leader that takes over may raise and clear again what the killed one did."""
    rows = Rows()
    rows.record(event("raised", 5), event("raised", 5), event("raised", 6))
    rows.record(event("cleared", 9, since=5), event("cleared", 9, since=5), event("cleared", 9.5, since=6))
    rows.record(event("raised", 5), event("raised", 9))
    assert rows.names == ["opened", "cleared"]
    assert len(rows.alarms) == 1


def test_a_clear_that_overtakes_its_raise_leaves_no_open_alarm() -> None:
    """The alarm is opened and cleared at once, and the late event is ignored."""
    rows = Rows()
    rows.record(event("cleared", 9, since=5), event("raised", 5))
    assert [alarm.state for alarm in rows.alarms] == ["cleared"]
    assert rows.names == ["opened", "cleared"]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("earlier", [0, FLAP_OPENINGS])
def test_the_newest_event_decides_whatever_the_order(order: Sequence[int], earlier: int) -> None:
    """A late end does not clear an alarm whose condition began again after it, also while the level flaps."""
    rows = Rows()
    rows.record(*flap(range(-5 * earlier, 0, 5)))
    events = [event("raised", 0), event("cleared", 2, since=0), event("raised", 4)]
    rows.record(*(events[number] for number in order))
    assert (rows.alarms[-1].state, rows.alarms[-1].raised) == ("open", True)


@pytest.mark.parametrize(
    ("last", "is_flapping"), [(WINDOW_S - MICROSECOND.total_seconds(), True), (WINDOW_S, False)]
)
def test_the_last_of_the_openings_within_a_minute_flaps(last: float, is_flapping: bool) -> None:
    """An opening exactly one minute before does not count any more."""
    rows = Rows()
    rows.record(*flap([0, *(10.0 * n for n in range(1, FLAP_OPENINGS - 1))]), event("raised", last))
    newest = rows.alarms[-1]
    assert newest.flapping is is_flapping
    assert newest.openings == (FLAP_OPENINGS if is_flapping else 1)


def test_a_flapping_alarm_counts_and_publishes_nothing_more() -> None:
    """A hundred changes are one row and one event; only a quiet minute ends it."""
    rows = Rows()
    rows.record(*flap([5.0 * n for n in range(100)]))
    assert len(rows.alarms) == FLAP_OPENINGS
    flapping = rows.alarms[-1]
    assert (flapping.state, flapping.raised) == ("open", False)
    assert flapping.openings == 100
    assert rows.names == ["opened", "cleared"] * (FLAP_OPENINGS - 1) + ["opened"]
    rows.settle(flapping.changed_at + FLAP_QUIET - MICROSECOND)
    assert rows.alarms[-1].state == "open"
    rows.settle(flapping.changed_at + FLAP_QUIET)
    assert rows.alarms[-1].state == "cleared"
    assert rows.names[-1] == "cleared"


def test_a_flapping_alarm_whose_condition_holds_does_not_end() -> None:
    """Quiet means that the level is not reached."""
    rows = Rows()
    rows.record(*flap([0, 5, 10]), event("raised", 15))
    rows.settle(at(15 + 10 * WINDOW_S))
    assert (rows.alarms[-1].state, rows.alarms[-1].raised) == ("open", True)


def test_an_acknowledgement_stays_until_the_alarm_is_cleared() -> None:
    """The first person and note stay; a cleared alarm cannot be acknowledged."""
    rows = Rows()
    rows.record(event("raised", 0))
    change = acknowledge(rows.alarms[0], "Ada", "on my way", at(1))
    assert change is not None
    assert [each.message.subject for each in change.events] == ["alarm.acknowledged"]
    rows.alarms = [change.alarm]
    assert acknowledge(change.alarm, "Bob", "mine", at(2)) is None
    rows.record(event("cleared", 3, since=0))
    (alarm,) = rows.alarms
    assert (alarm.state, alarm.acknowledged_by, alarm.note) == ("cleared", "Ada", "on my way")
    with pytest.raises(ValueError, match="cleared"):
        acknowledge(alarm, "Bob", None, at(4))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30, unique=True), st.randoms())
def test_whatever_the_order_no_alarm_is_lost_or_doubled(times: list[int], random: Any) -> None:
    """Events come up to three times and in any order within each pair: at most one row is open, and none at the end."""
    rows = Rows()
    ordered = sorted(times)
    for seconds in ordered:
        pair = [event("raised", seconds), event("cleared", seconds + 0.5, seconds)]
        delivered = [*pair, *random.choices(pair, k=2)]
        random.shuffle(delivered)
        rows.record(*delivered)
        assert sum(alarm.state != "cleared" for alarm in rows.alarms) <= 1
    if rows.alarms[-1].flapping:
        rows.settle(rows.alarms[-1].changed_at + FLAP_QUIET)
    assert {alarm.state for alarm in rows.alarms} == {"cleared"}
    assert len(rows.published) == len(set(rows.published)) == 2 * len(rows.alarms)
    # A flapping alarm begins with the openings of the last minute, which have rows of their own.
    before = [
        sum(alarm.opened_at - FLAP_WINDOW < other.opened_at < alarm.opened_at for other in rows.alarms)
        for alarm in rows.alarms
    ]
    counted = sum(
        alarm.openings - earlier if alarm.flapping else 1
        for alarm, earlier in zip(rows.alarms, before, strict=True)
    )
    assert counted == len(times)


def _alarm(kind: str = "drift", level: str = "alert") -> Alarm:
    rows = Rows()
    rows.record(event("raised", 0, kind=kind, level=level))
    return rows.alarms[0]


def _presence(*raised: DeviceAlarm) -> Presence:
    return Presence(device_id="k1-a", online_since=at(0), last_seen=at(0), alarms=list(raised))


@pytest.mark.parametrize(
    ("alarm", "presence", "reason"),
    [
        (_alarm(), None, "the device is offline"),
        (_alarm(), _presence(), "the condition ended while telemetry did not run"),
        (
            _alarm(),
            _presence(event("raised", 0, level="amber")),
            "the condition ended while telemetry did not run",
        ),
        (_alarm(), _presence(event("raised", 0)), None),
        (_alarm(level="amber"), _presence(event("raised", 0, level="alarm")), None),
        (_alarm("silence", "alarm"), _presence(), "the device is online"),
        (_alarm("silence", "alarm"), None, None),
        (_alarm("credential", "alarm"), None, None),
    ],
)
def test_an_alarm_that_the_fleet_does_not_know_is_cleared(
    alarm: Alarm, presence: Presence | None, reason: str | None
) -> None:
    """A lower level is raised with every higher one; nothing is decided while events may be on their way."""
    missed = find_missed_end(alarm, presence, at(0) + SETTLING)
    assert (missed and missed.reason) == reason
    assert find_missed_end(alarm, presence, at(0) + SETTLING - MICROSECOND) is None
