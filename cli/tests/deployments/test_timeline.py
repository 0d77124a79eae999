"""The timeline of a deployment, whatever happened in it."""

import itertools
import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.tests.deployment_samples import rollback, rollout, step, view
from k1_cli.deployments.timeline.axis import LONG_S, duration, make_axis
from k1_cli.deployments.timeline.drawing import draw_timeline
from k1_cli.deployments.timeline.layout import MAX_ROWS, Timeline, lay_out
from k1_contracts.messages.deploy.deployment_queries import DeploymentView, DeviceDeployment
from k1_contracts.messages.deploy.deployments import DeviceOutcome, StepView

STEPS = ("check", "stage", "activate", "verify", "observe", "commit", "discard", "rollback")
OUTCOMES: tuple[DeviceOutcome, ...] = (
    "pending",
    "blocked",
    "staged",
    "active",
    "committed",
    "failed",
    "rolled_back",
    "rollback_pending",
)
STATUSES = ("queued", "staging", "observing", "rollback_pending", "succeeded", "failed", "rolled_back")
_seconds = st.floats(-5, 200_000, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def _steps(draw: st.DrawFn):
    start, length = draw(_seconds), draw(st.floats(0, 700).map(lambda value: round(value, 3)))
    end = draw(st.sampled_from([None, start + length]))
    status = "running" if end is None else draw(st.sampled_from(["done", "failed"]))
    return step(
        draw(st.sampled_from(STEPS)), start, end, status, error_ms=draw(st.none() | st.floats(-50, 50))
    )


@st.composite
def _views(draw: st.DrawFn) -> DeploymentView:
    count = draw(st.integers(0, 4) | st.integers(MAX_ROWS - 1, MAX_ROWS + 20))
    kinds: list[tuple[DeviceOutcome, int | None, list[StepView]]] = [
        (
            draw(st.sampled_from(OUTCOMES)),
            draw(st.none() | st.integers(1, 4)),
            draw(st.lists(_steps(), max_size=6)),
        )
        for _ in range(4)
    ]
    devices = [
        DeviceDeployment(device_id=f"k1-{number}", outcome=outcome, batch=batch, steps=steps)
        for number in range(count)
        for outcome, batch, steps in [kinds[number % 4]]
    ]
    log = draw(st.lists(st.tuples(_seconds, st.text(max_size=20)), max_size=30))
    return view(devices, draw(st.sampled_from(STATUSES)), draw(st.floats(0, 500)), log)


def laid_out(deployment: DeploymentView) -> Timeline:
    return lay_out(deployment, "Night Drive")


def test_it_is_called_as_the_song_and_lists_what_failed() -> None:
    """The picture has the title of the song; the list has the failures with their devices, in order of time."""
    timeline = laid_out(rollback())
    assert timeline.title == "Night Drive version 3: rolled back"
    texts = [mark.text for mark in timeline.marks]
    assert "k1-07: activate failed: no answer" in texts
    assert [mark.at for mark in timeline.marks] == sorted(mark.at for mark in timeline.marks)


@given(_views())
def test_everything_has_its_place(deployment: DeploymentView) -> None:
    """Each device is in one row; bars lie on the axis, and those of one lane never overlap."""
    timeline = laid_out(deployment)
    assert sum(row.devices for row in timeline.rows) == len(deployment.devices)
    outcomes = Counter[str]()
    for row in timeline.rows:
        outcomes[row.outcome] += row.devices
        assert all(0 <= bar.start <= bar.end <= timeline.axis.span for bar in row.bars)
        for lane in range(row.lanes):
            bars = sorted((bar.start, bar.end) for bar in row.bars if bar.lane == lane)
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(bars))
    assert outcomes == Counter(device.outcome for device in deployment.devices)
    assert all(0 <= thing.at <= timeline.axis.span for thing in (*timeline.activations, *timeline.marks))
    assert len(timeline.rows) <= MAX_ROWS


@given(_views())
def test_alone_a_device_shows_all_its_steps(deployment: DeploymentView) -> None:
    """There is one bar per step, in the colour of the step unless it failed or still runs."""
    by_name = {device.device_id: device for device in deployment.devices}
    for row in laid_out(deployment).rows:
        if (device := by_name.get(row.label)) is not None:
            tones = [s.step if s.status == "done" else s.status for s in device.steps]
            assert Counter(bar.style for bar in row.bars) == Counter(tones)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.lists(st.floats(0, 1), max_size=10))
def test_time_never_runs_backwards(times: list[float], shares: list[float]) -> None:
    """The axis rises, shortens only long stretches in which nothing begins or ends, and stretches none."""
    axis = make_axis(times)
    inside = sorted([*times, *(share * axis.span for share in shares)])
    places = [axis.place(time) for time in inside]
    assert all(before <= after + 1e-6 for before, after in itertools.pairwise(places))
    stops = sorted({0.0, *times})
    for start, end in itertools.pairwise(stops):
        drawn = axis.place(end) - axis.place(start)
        if end - start <= LONG_S:
            assert drawn == pytest.approx(end - start, abs=1e-4)
        else:
            assert 0 < drawn <= LONG_S + 1e-4
    ticks = axis.ticks(12)
    assert all(-1e-6 <= place <= axis.length + 1e-6 for place, _ in ticks)
    assert len(ticks) <= 14 + 2 * len(axis.gaps)


def test_many_devices_share_rows() -> None:
    """There is one row per batch and outcome; failed devices have a row each, first in their batch."""
    whole = rollout(100, canary=5, batch_size=25)
    devices = list(whole.devices)
    devices[40] = devices[40].model_copy(update={"outcome": "failed"})
    rows = laid_out(whole.model_copy(update={"devices": devices})).rows
    assert [(row.batch, row.label, row.outcome) for row in rows] == [
        (1, "5 devices", "committed"),
        (2, "25 devices", "committed"),
        (3, "k1-41", "failed"),
        (3, "24 devices", "committed"),
        (4, "25 devices", "committed"),
        (5, "20 devices", "committed"),
    ]


def test_each_batch_has_its_moment() -> None:
    """The activation of a batch is at the median of its devices, with the largest timing error."""
    devices = [
        DeviceDeployment(
            device_id=f"k1-{number}",
            outcome="active",
            batch=batch,
            steps=[step("activate", time - 1, time, error_ms=error)],
        )
        for number, (batch, time, error) in enumerate(
            [(1, 5.0, -2.0), (2, 9.0, 1.0), (2, 9.5, -7.4), (2, 9.1, 0.0)]
        )
    ]
    deployment = view(devices, "observing", 12, strategy={"canary": 1})
    assert [(activation.at, activation.label) for activation in laid_out(deployment).activations] == [
        (5.0, "canary ±2 ms"),
        (9.1, "batch 2 ±7.4 ms"),
    ]


def test_devices_are_in_the_order_a_person_counts() -> None:
    """`k1-9` is before `k1-10`; devices without a batch are last."""
    names = [("k1-10", 1), ("k1-9", 1), ("k1-1", None), ("k1-2", 2)]
    devices = [DeviceDeployment(device_id=name, outcome="pending", batch=batch) for name, batch in names]
    rows = laid_out(view(devices, "staging", 1)).rows
    assert [row.label for row in rows] == ["k1-9", "k1-10", "k1-2", "k1-1"]


def test_a_clock_that_is_behind_does_not_break_the_picture() -> None:
    """A step that seems to begin before the deployment is drawn from its start."""
    device = DeviceDeployment(device_id="k1", outcome="staged", batch=1, steps=[step("stage", -3, -1)])
    (row,) = laid_out(view([device], "staging", 1)).rows
    assert [(bar.start, bar.end) for bar in row.bars] == [(0.0, 0.0)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.05, "0.05 s"), (59.9, "59.9 s"), (61, "1:01"), (3600, "1:00 h"), (90_061, "1 d 1:01 h")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "deployment",
    [
        rollout(12, canary=2, batch_size=5),
        rollback(),
        rollout(100, canary=5, batch_size=25),
        rollout(3, observe=3600),
        view([], "queued", 0),
        view([], "failed", 0, [(0, "$\\frac{1}$ {x} 😀" * 40)], reason="$_{"),
    ],
    ids=["batches", "rollback", "hundred", "hour", "empty", "hostile"],
)
def test_it_can_be_drawn(deployment: DeploymentView) -> None:
    """The PNG has a size that a screen can show; free text is not parsed as a formula."""
    picture = draw_timeline(deployment, "Ke$ha [/x] $_{ \x1b[31m")
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width == 1430
    assert 200 <= height <= 2200
