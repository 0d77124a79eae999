"""Formats what a run measured: Markdown for people, JSON for comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.figures import markdown_table
from benchmarks.load.cpu import CpuUse
from benchmarks.load.generator import Measured

_PERCENTILES: Final = (50, 95, 99)
_SHOWN_MS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Run:
    """One run and what it measured."""

    name: str
    users: int
    rate: float
    measured: Measured
    cpu: CpuUse

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        measured = self.measured
        return {
            "name": self.name,
            "users": self.users,
            "wanted_rate": self.rate,
            "achieved_rate": measured.count / measured.elapsed_s,
            "latency_ms": {name: _figures(times) for name, times in measured.latencies_ms.items()},
            "errors": dict(measured.errors),
            "ready_s": measured.ready_s,
            "generator_lateness_ms": _figures(measured.lateness_ms),
            "cpu_ms_per_request": self.cpu_ms_per_request(),
            "cpu_cores": {name: used / self.cpu.elapsed_s for name, used in self.cpu.by_process.items()},
            "other_programs_share": self.cpu.others_share,
            "load_average": self.cpu.load,
        }

    def cpu_ms_per_request(self) -> dict[str, float]:
        """Return the CPU time of each process divided by the number of requests."""
        count = max(self.measured.count, 1)
        return {name: used * 1000 / count for name, used in self.cpu.by_process.items()}

    def to_markdown(self) -> str:
        """Return the tables of the run."""
        measured = self.measured
        rows = [
            [name, *(f"{each:.1f}" for each in _figures(times).values()), str(len(times))]
            for name, times in sorted(measured.latencies_ms.items())
        ]
        header = [f"{self.users:,} users", *(f"p{each} ms" for each in _PERCENTILES), "max ms", "n"]
        late = _figures(measured.lateness_ms)
        rate = measured.count / measured.elapsed_s
        errors = f"{sum(measured.errors.values())} errors {dict(measured.errors) or ''}".rstrip()
        ready = ", ".join(f"{each:.1f}" for each in measured.ready_s)
        beside = (
            f"uploads until the end of their analysis: {ready or 'none'} s; "
            f"the generator sent late by {late['p50']:.2f} ms (p50), {late['p95']:.2f} ms (p95); "
            f"other programs used {self.cpu.others_share:.0%} of the cores; load average {self.cpu.load:.1f}"
        )
        title = f"### {self.name}: {rate:.0f} of {self.rate:.0f} requests/s, {errors}"
        return "\n\n".join([title, markdown_table(header, rows), beside, self._cpu_table()])

    def _cpu_table(self) -> str:
        costs = sorted(self.cpu_ms_per_request().items(), key=lambda item: -item[1])
        rows = [
            [name, f"{cost:.2f}", f"{self.cpu.by_process[name] / self.cpu.elapsed_s:.2f}"]
            for name, cost in costs
            if cost >= _SHOWN_MS
        ]
        return markdown_table(["process", "CPU ms per request", "cores"], rows)


def _figures(times: Sequence[float]) -> dict[str, float]:
    if not times:
        return {}
    found = np.percentile(times, _PERCENTILES)
    figures = {f"p{name}": float(value) for name, value in zip(_PERCENTILES, found, strict=True)}
    return figures | {"max": max(times)}
