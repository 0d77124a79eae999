"""Tests the alarms of a device on simulated time, at the exact boundaries."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_contracts.messages.telemetry import DeviceAlarm
from k1_telemetry.fleet.alarms import CLEAR_AFTER, MAX_GAP, AlarmTracker
from services.telemetry.tests.samples import TRACK, at, reading

Change = tuple[float, str, str, str]
MICROSECOND = 1e-6


def run(values: list[tuple[float, float]], name: str = "drift_ms") -> list[Change]:
    """Apply readings given as (seconds, value); return the changes as (seconds, kind, level, state)."""
    alarms = AlarmTracker("k1-a")
    changes: list[Change] = []
    for seconds, value in values:
        fields: dict[str, Any] = {name: value}
        changed = alarms.update(reading(**fields), at(seconds))
        changes.extend((seconds, alarm.kind, alarm.level, alarm.state) for alarm in changed)
    return changes


def steadily(value: float, begin: float, end: float, rate: float = 10) -> list[tuple[float, float]]:
    """Return readings of one value at `rate` a second, the last exactly at `end`."""
    count = round((end - begin) * rate)
    return [(begin + number / rate, value) for number in range(count)] + [(end, value)]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("drift", "levels"),
    [
        (20.0, []),
        (20.000001, ["amber"]),
        (50.0, ["amber"]),
        (50.000001, ["amber", "alert"]),
        (100.0, ["amber", "alert"]),
        (100.000001, ["amber", "alert", "alarm"]),
        (1e308, ["amber", "alert", "alarm"]),
    ],
)
def test_drift_just_over_a_threshold_raises_its_level(sign: int, drift: float, levels: list[str]) -> None:
    """A value exactly at the threshold does not exceed it, in either direction."""
    assert [level for _, _, level, _ in run(steadily(sign * drift, 0, 6))] == levels


@pytest.mark.parametrize("rate", [1, 10])
def test_the_alarm_is_raised_after_exactly_five_seconds(rate: float) -> None:
    """It is not raised a microsecond earlier, whether the device sends ten readings a second or one."""
    before = run([*steadily(101, 0, 4.9, rate), (5 - MICROSECOND, 101)])
    assert [level for _, _, level, _ in before] == ["amber", "alert"]
    after = run(steadily(101, 0, 5, rate))
    assert after[-1] == (5, "drift", "alarm", "raised")


def test_one_reading_within_the_threshold_restarts_the_timer() -> None:
    """`for 5s` means that every reading of these seconds exceeds the threshold."""
    values = [*steadily(101, 0, 4.9), (4.95, 100.0), *steadily(101, 5, 9.9)]
    assert [level for _, _, level, _ in run(values)] == ["amber", "alert"]
    assert run([*values, (10.0, 101)])[-1] == (10.0, "drift", "alarm", "raised")


@pytest.mark.parametrize(
    ("gap", "raised"),
    [(MAX_GAP.total_seconds(), True), (MAX_GAP.total_seconds() + MICROSECOND, False)],
)
def test_a_long_gap_restarts_the_timer(gap: float, raised: bool) -> None:
    """Two lost readings of an idle device are tolerated; a longer gap restarts the time."""
    values = [*steadily(101, 0, 2), *steadily(101, 2 + gap, 5.2)]
    assert ("alarm" in [level for _, _, level, _ in run(values)]) is raised


def test_a_value_that_swings_around_a_threshold_raises_one_alarm() -> None:
    """After an hour there is one amber alarm, raised at the start and cleared when the value is steady."""
    swinging = [(second / 10, 20.5 if second % 2 else 12.0) for second in range(1, 36_000)]
    calm = steadily(3, 3600, 3603)
    changes = run([*swinging, *calm])
    assert [(level, state) for _, _, level, state in changes] == [("amber", "raised"), ("amber", "cleared")]


def test_a_level_is_cleared_after_two_seconds_at_the_clear_threshold() -> None:
    """The value must be at or below four fifths of the threshold for exactly this long."""
    hold = CLEAR_AFTER.total_seconds()
    raised = steadily(21, 0, 1)
    assert len(run([*raised, *steadily(16, 2, 1.9 + hold), (2 + hold - MICROSECOND, 16)])) == 1
    assert run([*raised, *steadily(16, 2, 2 + hold)])[-1] == (2 + hold, "drift", "amber", "cleared")
    assert len(run([*raised, *steadily(16.000001, 2, 60)])) == 1


def test_levels_are_cleared_one_by_one() -> None:
    """Each raised level is cleared separately, the highest first."""
    values = [*steadily(150, 0, 5), *steadily(60, 6, 9), *steadily(30, 10, 13), *steadily(0, 14, 17)]
    states = [(level, state) for _, _, level, state in run(values)]
    assert states == [
        ("amber", "raised"),
        ("alert", "raised"),
        ("alarm", "raised"),
        ("alarm", "cleared"),
        ("alert", "cleared"),
        ("amber", "cleared"),
    ]


@pytest.mark.parametrize(("temperature", "raised"), [(80.0, False), (80.1, True)])
def test_a_high_temperature_raises_an_alarm_at_once(temperature: float, raised: bool) -> None:
    """One reading over 80 is enough; 75 clears the alarm."""
    changes = run([(0, temperature), *steadily(75.0, 1, 3)], "temp_c")
    assert [state for *_, state in changes] == (["raised", "cleared"] if raised else [])


@pytest.mark.parametrize(("fps", "raised"), [(24.0, False), (23.9, True)])
def test_a_low_frame_rate_for_five_seconds_raises_an_alarm(fps: float, raised: bool) -> None:
    """Low values exceed this threshold: exactly 24 raises no alarm, and 27 clears it."""
    changes = run([*steadily(fps, 0, 5), *steadily(26.9, 5.1, 9), *steadily(27, 9.1, 11.1)], "fps")
    expected = [(5.0, "fps", "alarm", "raised"), (11.1, "fps", "alarm", "cleared")]
    assert changes == (expected if raised else [])


def test_an_alarm_has_all_details() -> None:
    """It has the level, the value, the time since when, the track, and the documented reason."""
    alarms = AlarmTracker("k1-a")
    raised = [
        alarm
        for seconds, value in steadily(-150, 0, 5)
        for alarm in alarms.update(reading(drift_ms=value, track_id=TRACK), at(seconds))
    ]
    expected = DeviceAlarm(
        device_id="k1-a",
        kind="drift",
        level="alarm",
        state="raised",
        value=-150,
        reason="drift_ms > 100 for 5s",
        track_id=TRACK,
        since=at(0),
        at=at(5),
    )
    assert raised[-1] == expected
    assert [alarm.reason for alarm in raised[:2]] == ["drift_ms > 20", "drift_ms > 50"]
    assert alarms.raised == [expected]
    cleared = alarms.clear_all(at(6), "gone")
    assert [(a.level, a.state, a.since, a.at) for a in cleared] == [
        ("amber", "cleared", at(0), at(6)),
        ("alert", "cleared", at(0), at(6)),
        ("alarm", "cleared", at(0), at(6)),
    ]
    assert (alarms.raised, alarms.clear_all(at(7), "gone")) == ([], [])


def test_an_alarm_of_another_process_is_not_raised_again() -> None:
    """Rebuilt from presence, with the lower levels of its kind, it raises nothing until the value changes."""
    before = AlarmTracker("k1-a")
    for seconds, value in steadily(60, 0, 1):
        before.update(reading(drift_ms=value), at(seconds))
    after = AlarmTracker("k1-a", before.raised)
    assert [a for s, v in steadily(60, 10, 20) for a in after.update(reading(drift_ms=v), at(s))] == []
    cleared = [a for s, v in steadily(0, 20.1, 23) for a in after.update(reading(drift_ms=v), at(s))]
    assert [(a.level, a.state, a.since) for a in cleared] == [
        ("amber", "cleared", at(0)),
        ("alert", "cleared", at(0)),
    ]


values_and_gaps = st.lists(
    st.tuples(
        st.sampled_from([0.0, 16.0, 20.0, 20.1, 40.0, 50.1, 80.0, 100.0, 100.1, -150.0]),
        st.integers(0, 6_000_000),
    ),
    max_size=80,
)


@given(values_and_gaps)
def test_any_readings_alternate_each_level_and_raise_only_true_alarms(steps: list[tuple[float, int]]) -> None:
    """Each level is raised and cleared alternately; an alarm needs 5 s in which every reading exceeds 100."""
    alarms = AlarmTracker("k1-a")
    now, history, raised = at(0), [], set[str]()
    for value, gap_us in steps:
        now += timedelta(microseconds=gap_us)
        history.append((now, value))
        for change in alarms.update(reading(drift_ms=value), now):
            assert (change.state == "raised") is (change.level not in raised)
            (raised.add if change.state == "raised" else raised.discard)(change.level)
            if (change.level, change.state) == ("alarm", "raised"):
                assert now - change.since >= timedelta(seconds=5)
                assert all(abs(past) > 100 for when, past in history if when >= change.since)
    highest = next((level for level in ("alarm", "alert", "amber") if level in raised), None)
    assert [alarm.level for alarm in alarms.raised] == ([highest] if highest else [])
