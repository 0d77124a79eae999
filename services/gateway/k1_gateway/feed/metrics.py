"""The metrics of the live feed."""

from dataclasses import dataclass
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_DELAYS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class FeedMetrics:
    """Counts clients and what happens to their events."""

    clients: Gauge
    dropped: Counter
    closed: Counter
    delay: Histogram

    @classmethod
    def of(cls, registry: CollectorRegistry) -> Self:
        """Register the metrics."""
        return cls(
            Gauge("k1_live_clients", "Clients of the live feed", ["kind"], registry=registry),
            Counter("k1_live_dropped", "Samples that slow clients did not get", ["kind"], registry=registry),
            Counter("k1_live_closed", "Ended connections", ["kind", "reason"], registry=registry),
            Histogram(
                "k1_live_delay_seconds",
                "From the storing of an event by the broker to the queues of its clients",
                buckets=_DELAYS_S,
                registry=registry,
            ),
        )
