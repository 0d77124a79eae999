"""Tests which growth of memory counts as a leak."""

from pathlib import Path

import pytest

from tests.soak.resources import Life, ResourceMonitor
from tests.support.system import System

MB = 1_000_000


def life(start_s: int, lasted_s: int, first_mb: int, last_mb: int) -> Life:
    """Return a process whose memory grows evenly."""
    times = [float(start_s + second) for second in range(lasted_s + 1)]
    step = (last_mb - first_mb) / lasted_s
    memory = [int((first_mb + second * step) * MB) for second in range(lasted_s + 1)]
    return Life("nats", times, memory, [10] * len(times))


LOAD_ENDED_S = 300


def monitor_of(*lives: Life) -> ResourceMonitor:
    by_key = {(1, each.times[0]): each for each in lives}
    return ResourceMonitor(System(Path("unused")), by_key, load_ended=LOAD_ENDED_S)


GROWN = life(0, 300, 100, 260)


@pytest.mark.parametrize(
    ("new", "violations"),
    [
        (
            life(310, 200, 100, 140),
            ["the memory of nats grew from 135 to 235 MB, and a new process needs 134 MB"],
        ),
        (life(310, 200, 100, 220), []),
        (
            life(310, 170, 220, 220),
            ["the memory of nats grew from 135 to 235 MB, and no new process was observed for 180 s"],
        ),
    ],
    ids=["needs less", "comes to need as much", "too young"],
)
def test_memory_that_a_new_process_does_not_need_is_a_leak(new: Life, violations: list[str]) -> None:
    assert monitor_of(GROWN, new).find_violations() == violations


def test_a_process_under_load_shows_nothing() -> None:
    """A leak grows in it too: only one that started when the load had ended is compared."""
    before, under_load = life(0, 100, 100, 260), life(110, 200, 220, 225)
    assert len(monitor_of(before, under_load).find_violations()) == 1
    assert monitor_of(before, under_load, life(310, 200, 220, 225)).find_violations() == []


def test_a_process_that_grew_and_was_not_replaced_is_reported() -> None:
    alone = monitor_of(GROWN)
    assert alone.suspects() == {"nats"}
    assert len(alone.find_violations()) == 1


def test_a_process_of_steady_memory_is_no_suspect() -> None:
    assert monitor_of(life(0, 300, 100, 110)).suspects() == set()
