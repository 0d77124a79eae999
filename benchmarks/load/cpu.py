"""Measures the CPU time of the processes of a stack, and what other programs used of the machine meanwhile."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import psutil


@dataclass(frozen=True, slots=True)
class CpuUse:
    """CPU seconds, user and system, within a time."""

    by_process: dict[str, float]
    elapsed_s: float
    others_s: float
    """What programs used that belong neither to the stack nor to the benchmark."""
    load: float
    """The load average of the machine at the end."""

    @property
    def others_share(self) -> float:
        """Return which part of all cores other programs used."""
        return max(self.others_s, 0) / (self.elapsed_s * (os.cpu_count() or 1))


@dataclass(slots=True)
class CpuMeter:
    """The CPU times of named processes and their descendants since it was started."""

    pids: Mapping[str, int]
    _begin: dict[str, dict[int, float]] = field(default_factory=dict[str, dict[int, float]])
    _busy_s: float = 0.0
    _started: float = 0.0

    @classmethod
    def start(cls, pids: Mapping[str, int]) -> Self:
        """Begin to measure the processes with these ids, by name, and this process."""
        meter = cls({**pids, "load generator": os.getpid()})
        meter._begin = {name: _seconds(pid) for name, pid in meter.pids.items()}
        meter._busy_s, meter._started = _busy_s(), time.perf_counter()
        return meter

    def read(self) -> CpuUse:
        """Return what was used since the start. Processes that began meanwhile count whole."""
        used: dict[str, float] = {}
        for name, pid in self.pids.items():
            before = self._begin[name]
            used[name] = sum(now - before.get(each, 0.0) for each, now in _seconds(pid).items())
        busy_s = _busy_s() - self._busy_s
        return CpuUse(
            used, time.perf_counter() - self._started, busy_s - sum(used.values()), os.getloadavg()[0]
        )


def _seconds(pid: int) -> dict[int, float]:
    found: dict[int, float] = {}
    process = psutil.Process(pid)
    family = [process] if pid == os.getpid() else [process, *process.children(recursive=True)]
    for each in family:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[each.pid] = times.user + times.system
    return found


def _busy_s() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - times.guest - times.guest_nice
