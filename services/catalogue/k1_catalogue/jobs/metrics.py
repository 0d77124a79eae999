"""Measures jobs for Prometheus: how wrong the estimates were, and what the analyses cost."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from k1_catalogue.jobs.cost import Prices, Usage, job_cost
from k1_contracts.messages.analysis import AnalysisCompleted

_BUCKETS_S: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class JobMetrics:
    """The metrics of completed jobs."""

    def __init__(self, registry: CollectorRegistry, prices: Prices) -> None:
        """Register the metrics; `prices` turn what a job used into money."""
        self._prices = prices
        self._errors = Histogram(
            "k1_catalogue_estimate_error_seconds",
            "Difference between the estimate of a job at its acceptance and its real end",
            ["direction"],
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._cost = Counter(
            "k1_catalogue_cost_usd", "Cost of completed analyses in US dollars", ["part"], registry=registry
        )
        for part in ("processing", "inference", "storage"):
            self._cost.labels(part)

    def observe_estimate(self, expected_s: float, real_s: float) -> None:
        """Record how much later or earlier than expected a job ended, in seconds after its acceptance."""
        direction = "late" if real_s > expected_s else "early"
        self._errors.labels(direction).observe(abs(real_s - expected_s))

    def add_cost(self, event: AnalysisCompleted) -> None:
        """Add the cost of a completed job; analyses of earlier releases were not measured."""
        if event.cpu_s is None or event.bytes_stored is None:
            return
        cost = job_cost(Usage(event.cpu_s, event.inference_s, event.bytes_stored), self._prices)
        self._cost.labels("processing").inc(cost.processing_usd)
        self._cost.labels("inference").inc(cost.inference_usd or 0.0)
        self._cost.labels("storage").inc(cost.storage_usd)
