"""Tests which growth of memory counts as a leak."""

from pathlib import Path

import pytest

from tests.soak.resources import COMPARABLE_LIFE_S, Life, ResourceMonitor
from tests.support.system import System

MB = 1_000_000


def life(start_s: int, lasted_s: int, first_mb: int, last_mb: int) -> Life:
    """Return a process whose memory grows evenly."""
    times = [float(start_s + second) for second in range(lasted_s + 1)]
    step = (last_mb - first_mb) / lasted_s
    memory = [int((first_mb + second * step) * MB) for second in range(lasted_s + 1)]
    return Life("nats", times, memory, [10] * len(times))


def monitor_of(*lives: Life) -> ResourceMonitor:
    return ResourceMonitor(System(Path("unused")), {(1, each.times[0]): each for each in lives})


GROWN = life(0, 300, 100, 260)


@pytest.mark.parametrize(
    ("after", "violations"),
    [
        (
            life(310, 90, 100, 110),
            ["the memory of nats grew from 135 to 235 MB, and the next process needs 103 MB"],
        ),
        (life(310, 90, 220, 225), []),
    ],
)
def test_memory_that_the_next_process_does_not_need_is_a_leak(after: Life, violations: list[str]) -> None:
    assert monitor_of(GROWN, after).find_violations() == violations


def test_a_process_that_grew_needs_a_next_one_to_compare_with() -> None:
    """One that was killed too early to be compared does not count."""
    early = life(310, int(COMPARABLE_LIFE_S) - 1, 220, 220)
    alone = monitor_of(GROWN, early)
    assert alone.suspects() == {"nats"}
    assert alone.find_violations() == [
        "the memory of nats grew from 135 to 235 MB, and no process took its place"
    ]
    later = monitor_of(GROWN, early, life(350, 60, 220, 220))
    assert (later.suspects(), later.find_violations()) == (set(), [])


def test_a_process_of_steady_memory_is_no_suspect() -> None:
    assert monitor_of(life(0, 300, 100, 110)).suspects() == set()
