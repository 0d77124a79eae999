"""Defines the Prometheus metrics of presence and alarms; labels are kinds and outcomes, never devices or tracks."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k1_telemetry.fleet.alarms import RULES
from k1_telemetry.fleet.fleet import Counts, Fleet

_LAG_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LEVELS = [*((rule.kind, rule.level) for rule in RULES), ("silence", "alarm")]


class Metrics:
    """Holds the counters and gauges of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self.readings = Counter(
            "k1_telemetry_readings",
            "Readings by outcome; malformed and too_many count messages",
            ["outcome"],
            registry=registry,
        )
        self.missing = Counter(
            "k1_telemetry_missing_readings", "Sequence numbers that were skipped", registry=registry
        )
        self.clock_jumps = Counter(
            "k1_telemetry_device_clock_jumps", "Jumps of device clocks", registry=registry
        )
        self.failures = Counter(
            "k1_telemetry_failures", "Messages whose handler raised an unexpected error", registry=registry
        )
        self.events = Counter("k1_telemetry_facts", "Events published", ["subject"], registry=registry)
        self.live = Counter("k1_telemetry_live", "Live samples by outcome", ["fate"], registry=registry)
        self.lag = Histogram(
            "k1_telemetry_lag_seconds",
            "Time from the broker's receipt of the oldest message of a pull to its handling",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )
        self.leader = Gauge("k1_telemetry_leader", "1 while this process is the leader", registry=registry)
        self.online = Gauge("k1_telemetry_devices_online", "Devices online", registry=registry)
        self.raised = Gauge(
            "k1_telemetry_alarms_raised", "Devices at an alarm level", ["kind", "level"], registry=registry
        )

    def add_counts(self, counts: Counts) -> None:
        """Add the counts of the fleet to the counters, and reset them."""
        for outcome, number in counts.readings.items():
            self.readings.labels(outcome).inc(number)
        # A device may skip 2**63 numbers at once; the limit keeps the sum meaningful.
        self.missing.inc(min(counts.missing, 1_000_000))
        self.clock_jumps.inc(counts.clock_jumps)
        counts.readings.clear()
        counts.by_device = {}
        counts.missing = counts.clock_jumps = 0

    def update_gauges(self, fleet: Fleet | None) -> None:
        """Set the gauges to the state of the fleet; pass None while another process is the leader."""
        self.leader.set(fleet is not None)
        self.online.set(len(fleet.online_devices()) if fleet else 0)
        raised = fleet.count_alarms() if fleet else {}
        for kind, level in _LEVELS:
            self.raised.labels(kind, level).set(raised.get((kind, level), 0))
