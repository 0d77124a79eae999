"""Tests of the CPU time of tasks."""

import os
import time

from k1_analysis.jobs.cpu_time import measure_cpu

_BUSY_S = 0.1


def _busy() -> None:
    end = time.process_time() + _BUSY_S
    while time.process_time() < end:
        pass


def test_the_process_and_its_children_count() -> None:
    """CPU time of this process and of a child that ended is measured; the result is passed on."""

    def run() -> str:
        if (child := os.fork()) == 0:
            _busy()
            os._exit(0)
        _busy()
        os.waitpid(child, 0)
        return "made"

    result = measure_cpu(run)
    assert result.value == "made"
    assert result.cpu_s >= 1.8 * _BUSY_S
