"""The metrics of jobs."""

from typing import Final

from prometheus_client import CollectorRegistry, Histogram

_BUCKETS_S: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class EstimateErrors:
    """How far the estimates at acceptance were from the real ends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the histogram."""
        self.histogram = Histogram(
            "k1_catalogue_estimate_error_seconds",
            "Difference between the estimate of a job at its acceptance and its real end",
            ["direction"],
            buckets=_BUCKETS_S,
            registry=registry,
        )

    def observe(self, expected_s: float, real_s: float) -> None:
        """Record how much later or earlier than expected a job ended, in seconds after its acceptance."""
        direction = "late" if real_s > expected_s else "early"
        self.histogram.labels(direction).observe(abs(real_s - expected_s))
