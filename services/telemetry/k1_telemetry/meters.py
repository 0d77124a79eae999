"""Prometheus metrics; labels are kinds and outcomes, never devices or tracks."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k1_telemetry.alarms import RULES
from k1_telemetry.fleet import Counts, Fleet

_LAGS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LEVELS = [*((rule.kind, rule.level) for rule in RULES), ("silence", "alarm")]


class Meters:
    """What this process counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""
        self.readings = Counter(
            "k1_telemetry_readings",
            "Readings by what became of them; malformed and too_many are messages",
            ["outcome"],
            registry=registry,
        )
        self.missing = Counter(
            "k1_telemetry_missing_readings", "Numbers that were left out", registry=registry
        )
        self.clock_jumps = Counter(
            "k1_telemetry_device_clock_jumps", "Device clocks that jumped", registry=registry
        )
        self.failures = Counter(
            "k1_telemetry_failures", "Messages that ended in an unforeseen error", registry=registry
        )
        self.facts = Counter("k1_telemetry_facts", "Facts published", ["subject"], registry=registry)
        self.live = Counter("k1_telemetry_live", "Live samples by fate", ["fate"], registry=registry)
        self.lag = Histogram(
            "k1_telemetry_lag_seconds",
            "From the broker's receipt of a message to its effect",
            buckets=_LAGS_S,
            registry=registry,
        )
        self.leader = Gauge(
            "k1_telemetry_leader", "1 while this process is the active one", registry=registry
        )
        self.online = Gauge("k1_telemetry_devices_online", "Devices online", registry=registry)
        self.raised = Gauge(
            "k1_telemetry_alarms_raised", "Devices at a level", ["kind", "level"], registry=registry
        )

    def count(self, counts: Counts) -> None:
        """Add what was read, and begin it anew."""
        for outcome, number in counts.readings.items():
            self.readings.labels(outcome).inc(number)
        # A device may leave out 2**63 numbers at once; the sum stays a number that means something.
        self.missing.inc(min(counts.missing, 1_000_000))
        self.clock_jumps.inc(counts.clock_jumps)
        counts.readings.clear()
        counts.missing = counts.clock_jumps = 0

    def show(self, fleet: Fleet | None) -> None:
        """How the fleet is; None while another process watches it."""
        self.leader.set(fleet is not None)
        self.online.set(len(fleet.online()) if fleet else 0)
        raised = fleet.raised() if fleet else {}
        for kind, level in _LEVELS:
            self.raised.labels(kind, level).set(raised.get((kind, level), 0))
