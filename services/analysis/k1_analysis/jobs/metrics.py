"""Measures jobs for Prometheus: how long they wait and each stage takes, and how and where they end."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from k1_contracts.messages.analysis import AnalysisCompleted, AnalysisFailed, BeatPreview

_STAGE_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_WAIT_S: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
Report = Callable[[str, float, BeatPreview | None], None]


class JobMetrics:
    """The metrics of the jobs of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._stages = Histogram(
            "k1_analysis_stage_seconds",
            "Duration of each stage of an analysis",
            ["stage"],
            buckets=_STAGE_S,
            registry=registry,
        )
        self._jobs = Counter(
            "k1_analysis_jobs",
            "Ended jobs by outcome, and by the stage in which they ended",
            ["outcome", "stage"],
            registry=registry,
        )
        self.wait = Histogram(
            "k1_analysis_wait_seconds", "How long jobs waited for a slot", buckets=_WAIT_S, registry=registry
        )

    @contextmanager
    def measuring_stages(self, report: Report) -> Generator[Report]:
        """Yield a function that reports progress with `report` and measures each stage until the next begins."""
        stage: str | None = None
        began = time.monotonic()

        def measured(name: str, percent: float, preview: BeatPreview | None = None) -> None:
            nonlocal stage, began
            if name != stage:
                end_stage()
                stage, began = name, time.monotonic()
            report(name, percent, preview)

        def end_stage() -> None:
            if stage is not None:
                self._stages.labels(stage).observe(time.monotonic() - began)

        try:
            yield measured
        finally:
            end_stage()

    def count_end(self, outcome: object) -> None:
        """Count a job by the event that tells its end."""
        match outcome:
            case AnalysisCompleted(reused=True):
                self._jobs.labels("reused", "done").inc()
            case AnalysisCompleted():
                self._jobs.labels("completed", "done").inc()
            case AnalysisFailed():
                self._jobs.labels("failed", outcome.stage or "start").inc()
            case _:
                self._jobs.labels("cancelled", "any").inc()
