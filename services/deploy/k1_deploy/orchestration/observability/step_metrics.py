"""Measures how long steps on devices take and how they end, for Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Histogram

from k1_deploy.saga.entries import LogEntry, Outcome
from k1_deploy.saga.state import State

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 2, 5, 10, 30, 60, 120)
_MILLISECONDS = (1, 2, 5, 10, 20, 50, 100, 500)


class StepMetrics:
    """The histograms of steps and activations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = Histogram(
            "k1_deploy_step_seconds",
            "Steps on devices, from intent to outcome",
            ["step", "result"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._errors = Histogram(
            "k1_deploy_activation_error_ms",
            "How far from the agreed moment devices changed, by their clocks",
            buckets=_MILLISECONDS,
            registry=registry,
        )

    def record_entries(self, before: State, entries: Sequence[LogEntry]) -> None:
        """Record committed outcomes; a step whose intent was committed with them counts as 0 s."""
        for entry in entries:
            if not isinstance(entry, Outcome):
                continue
            began = before.devices[entry.device_id].open
            seconds = (entry.at - began.at).total_seconds() if began else 0.0
            self._steps.labels(step=entry.step, result=entry.result).observe(seconds)
            if entry.error_ms is not None:
                self._errors.observe(abs(entry.error_ms))
