"""Starts the telemetry service and connects its parts."""

from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_PRESENCE, TELEMETRY_SAMPLES
from k1_platform.nats.health import durable_check
from k1_platform.service import Runtime, run_service
from k1_telemetry.leader_election import LeaderElection
from k1_telemetry.metrics import Metrics
from k1_telemetry.settings import TelemetrySettings


async def wire(runtime: Runtime) -> None:
    """Start the leader election and add the readiness checks."""
    jetstream = runtime.bus.jetstream
    leaders = await jetstream.key_value(streams.LEADERS.name)
    election = LeaderElection(runtime.bus, leaders, Metrics(runtime.registry), runtime.about)
    runtime.background(election.run, "leader election")
    runtime.checks |= {
        "samples": durable_check(jetstream, TELEMETRY_SAMPLES),
        "presence": durable_check(jetstream, TELEMETRY_PRESENCE),
    }


def main() -> None:
    """Run the service until it is stopped."""
    run_service("telemetry", TelemetrySettings(), wire)
