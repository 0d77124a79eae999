"""Starts the telemetry service and connects its parts."""

from datetime import UTC, datetime, timedelta

from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_PRESENCE, TELEMETRY_SAMPLES, TELEMETRY_STORE
from k1_platform.nats.health import durable_check
from k1_platform.postgres.pool import TRANSIENT_ERRORS, check_database, open_pool
from k1_platform.service import Runtime, run_service
from k1_platform.settings import PostgresSettings
from k1_telemetry.drift.drift_queries import CatalogueClient, DriftQueries
from k1_telemetry.drift.drift_store import DriftStore
from k1_telemetry.handlers import serve_queries
from k1_telemetry.history.history_queries import HistoryQueries
from k1_telemetry.history.history_store import HistoryStore
from k1_telemetry.leader_election import LeaderElection
from k1_telemetry.metrics import Metrics
from k1_telemetry.settings import TelemetrySettings
from k1_telemetry.store.consumer import SampleConsumer
from k1_telemetry.store.device_counts import DeviceCounts
from k1_telemetry.store.maintenance import StoreMaintenance
from k1_telemetry.store.metrics import StoreMetrics
from k1_telemetry.store.writer import BatchWriter


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime) -> None:
    """Open the store, start the background tasks and add the readiness checks."""
    settings = TelemetrySettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    jetstream = runtime.bus.jetstream
    leaders = await jetstream.key_value(streams.LEADERS.name)
    counts = DeviceCounts(pool)
    election = LeaderElection(runtime.bus, leaders, Metrics(runtime.registry), counts, runtime.about)
    runtime.background(election.run, "leader election")
    runtime.background(counts.run, "counts of devices")
    keep = timedelta(days=settings.keep_days)
    runtime.background(StoreMaintenance(pool, keep, _now).run, "maintenance")
    store_metrics = StoreMetrics(runtime.registry)
    consumer = SampleConsumer(runtime.bus, BatchWriter(pool, store_metrics), store_metrics)
    runtime.background(consumer.run, "store")
    serve_queries(
        runtime.bus,
        HistoryQueries(HistoryStore(pool), _now),
        DriftQueries(DriftStore(pool), CatalogueClient(runtime.bus.broker).song_plan, keep, _now),
    )
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "samples": durable_check(jetstream, TELEMETRY_SAMPLES),
        "store": durable_check(jetstream, TELEMETRY_STORE),
        "presence": durable_check(jetstream, TELEMETRY_PRESENCE),
    }


def main() -> None:
    """Run the service until it is stopped."""
    run_service("telemetry", TelemetrySettings(), wire, transient=TRANSIENT_ERRORS)
