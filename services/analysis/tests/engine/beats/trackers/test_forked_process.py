"""Tests the forked process of the trackers: results, errors, time limits, and the end of its parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from k1_analysis.engine.beats.trackers import forked_process
from tests.support.processes import is_alive
from tests.support.waiting import PATIENCE_S, wait_until


def test_forked_process_returns_raises_and_times_out() -> None:
    """A result comes back; an exception, a crash and a hang become one error, and no process stays."""
    with forked_process.ForkedProcess(lambda: list(range(100_000))) as good:
        assert len(good.result(PATIENCE_S)) == 100_000
    with (
        forked_process.ForkedProcess(lambda: 1 // 0) as bad,
        pytest.raises(forked_process.ForkedProcessError, match="ZeroDivision"),
    ):
        bad.result(PATIENCE_S)
    with (
        forked_process.ForkedProcess(lambda: os.kill(os.getpid(), signal.SIGKILL)) as crashed,
        pytest.raises(forked_process.ForkedProcessError, match="died"),
    ):
        crashed.result(PATIENCE_S)
    with (
        forked_process.ForkedProcess(signal.pause) as hung,
        pytest.raises(forked_process.ForkedProcessError, match="within"),
    ):
        hung.result(0.1)
    assert hung.pid is None


def test_a_fork_that_does_not_start_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fork may stop at a lock of the parent's threads; if all do, that is an error."""
    original, starts = forked_process._run, 0

    def run_from_the_second(work: Callable[[], object], pipe: int, parent: int) -> None:
        if starts < 2:
            signal.pause()
        original(work, pipe, parent)

    def fork() -> int:
        nonlocal starts
        starts += 1
        monkeypatch.setattr(forked_process, "_START_TIMEOUT_S", PATIENCE_S if starts == 2 else 0.2)
        return original_fork()

    original_fork = os.fork
    monkeypatch.setattr(forked_process, "_run", run_from_the_second)
    monkeypatch.setattr(os, "fork", fork)
    with forked_process.ForkedProcess(lambda: 7) as replaced:
        assert replaced.result(PATIENCE_S) == 7
    assert starts == 2
    starts = -100
    with (
        forked_process.ForkedProcess(lambda: 7) as stuck,
        pytest.raises(forked_process.ForkedProcessError, match="did not start"),
    ):
        stuck.result(PATIENCE_S)
    assert stuck.pid is None


def test_forked_process_dies_with_its_parent() -> None:
    """The fork ends when its parent is killed."""
    program = (
        "import signal\nfrom k1_analysis.engine.beats.trackers.forked_process import ForkedProcess\n"
        "child = ForkedProcess(signal.pause)\nprint(child.pid, flush=True)\nsignal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_alive(grandchild), "the fork has ended", interval_s=0.01)
