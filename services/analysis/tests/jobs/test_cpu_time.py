"""Tests of the CPU time of tasks."""

import os
import time

import numpy as np

from k1_analysis.engine import inference_cpu_s
from k1_analysis.engine.beats.trackers.activation import default_net
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

    counter = iter((2.0, 2.25))
    result = measure_cpu(run, lambda: next(counter))
    assert (result.value, result.inference_s) == ("made", 0.25)
    assert result.cpu_s >= 1.8 * _BUSY_S


def test_the_network_counts_its_cpu_time() -> None:
    """Each call adds what it used; a counter that stands still would make inference free."""
    net = default_net()
    before = net.cpu_s
    bands = np.random.default_rng(0).random((2000, 82), np.float32)
    used = time.process_time()
    net(bands)
    used = time.process_time() - used
    assert 0 < net.cpu_s - before <= used
    assert inference_cpu_s() == net.cpu_s
