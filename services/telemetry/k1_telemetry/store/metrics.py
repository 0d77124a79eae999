"""Defines the Prometheus metrics of the store."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class StoreMetrics:
    """Holds the counters and histograms of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self.stored = Counter("k1_telemetry_stored_samples", "Samples committed", registry=registry)
        self.repeated = Counter(
            "k1_telemetry_repeated_messages",
            "Messages that were delivered again although they were stored",
            registry=registry,
        )
        self.bad = Counter(
            "k1_telemetry_bad_samples",
            "Samples put into quarantine, by reason",
            ["reason"],
            registry=registry,
        )
        self.failures = Counter(
            "k1_telemetry_store_failures", "Writes that failed and are tried again", registry=registry
        )
        self.write = Histogram(
            "k1_telemetry_store_write_seconds",
            "Duration of the transaction of a batch",
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag = Histogram(
            "k1_telemetry_store_lag_seconds",
            "Time from the broker's receipt of the oldest message of a batch to its commit",
            buckets=_SECONDS,
            registry=registry,
        )
