"""Starts the telemetry service and connects its parts."""

from datetime import UTC, datetime, timedelta

from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_PRESENCE, TELEMETRY_SAMPLES
from k1_platform.nats.health import durable_check
from k1_platform.postgres.pool import TRANSIENT_ERRORS, check_database, open_pool
from k1_platform.service import Runtime, run_service
from k1_platform.settings import PostgresSettings
from k1_telemetry.leader_election import LeaderElection
from k1_telemetry.metrics import Metrics
from k1_telemetry.settings import TelemetrySettings
from k1_telemetry.store.maintenance import StoreMaintenance


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime) -> None:
    """Open the store, start the background tasks and add the readiness checks."""
    settings = TelemetrySettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    jetstream = runtime.bus.jetstream
    leaders = await jetstream.key_value(streams.LEADERS.name)
    election = LeaderElection(runtime.bus, leaders, Metrics(runtime.registry), runtime.about)
    runtime.background(election.run, "leader election")
    runtime.background(StoreMaintenance(pool, timedelta(days=settings.keep_days), _now).run, "maintenance")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "samples": durable_check(jetstream, TELEMETRY_SAMPLES),
        "presence": durable_check(jetstream, TELEMETRY_PRESENCE),
    }


def main() -> None:
    """Run the service until it is stopped."""
    run_service("telemetry", TelemetrySettings(), wire, transient=TRANSIENT_ERRORS)
