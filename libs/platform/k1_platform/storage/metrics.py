"""Measures the object store for Prometheus: requests by operation and outcome, and bytes."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from k1_platform.errors import TransientError

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ObjectMetrics:
    """The metrics of the object store of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._seconds = Histogram(
            "k1_objects_request_seconds",
            "Duration of calls to the object store",
            ["operation", "outcome"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._bytes = Counter(
            "k1_objects_bytes",
            "Bytes sent to and received from the object store",
            ["direction"],
            registry=registry,
        )
        for direction in ("sent", "received"):
            self._bytes.labels(direction)

    @contextmanager
    def timed(self, operation: str) -> Generator[None]:
        """Measure a call; a store that failed is the outcome `error`, and that there is no such object is none."""
        started, outcome = time.perf_counter(), "ok"
        try:
            yield
        except TransientError:
            outcome = "error"
            raise
        finally:
            self._seconds.labels(operation, outcome).observe(time.perf_counter() - started)

    def add_bytes(self, direction: Literal["sent", "received"], count: int) -> None:
        """Count the bytes of objects, without headers."""
        self._bytes.labels(direction).inc(count)
