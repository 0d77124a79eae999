"""Starts the telemetry service and connects its parts."""

from datetime import UTC, datetime, timedelta

from prometheus_client import Gauge

from k1_contracts import streams
from k1_contracts.durables import (
    TELEMETRY_EVENTS,
    TELEMETRY_PRESENCE,
    TELEMETRY_SAMPLES,
    TELEMETRY_STORE,
)
from k1_platform.nats.bus.health import durable_check
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.postgres.maintenance import Maintenance
from k1_platform.postgres.outbox import OutboxRelay
from k1_platform.postgres.pool import TRANSIENT_ERRORS, Pool, check_database, open_pool
from k1_platform.service import Runtime, run_service
from k1_platform.settings import PostgresSettings
from k1_telemetry.alarms.queries import AlarmQueries
from k1_telemetry.alarms.recorder import AlarmRecorder
from k1_telemetry.alarms.store import count_by_state
from k1_telemetry.database import SCHEMA
from k1_telemetry.drift.drift_queries import CatalogueClient, DriftQueries
from k1_telemetry.drift.drift_store import DriftStore
from k1_telemetry.fleet_figures import FleetFigures
from k1_telemetry.handlers import consume_events, serve_queries
from k1_telemetry.history.history_queries import HistoryQueries
from k1_telemetry.history.history_store import HistoryStore
from k1_telemetry.leadership.election import LeaderElection
from k1_telemetry.leadership.metrics import Metrics
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
    figures = FleetFigures(runtime.bus, pool, _now, lambda: election.is_leader)
    recorder = AlarmRecorder(pool, timedelta(days=settings.alarm_keep_days), _now, figures.touch)
    leaders = await jetstream.key_value(streams.LEADERS.name)
    counts = DeviceCounts(pool)
    election = LeaderElection(
        runtime.bus,
        leaders,
        Metrics(runtime.registry),
        runtime.about,
        device_counts=counts,
        reconcile_alarms=recorder.reconcile,
    )
    consume_events(runtime.bus, recorder, figures)
    runtime.background(election.run, "leader election")
    runtime.background(counts.run, "counts of devices")
    keep = timedelta(days=settings.keep_days)
    runtime.background(StoreMaintenance(pool, keep, _now).run, "maintenance")
    store_metrics = StoreMetrics(runtime.registry)
    consumer = SampleConsumer(runtime.bus, BatchWriter(pool, store_metrics), store_metrics)
    runtime.background(consumer.run, "store")
    serve_queries(
        runtime.bus,
        AlarmQueries(pool, _now, figures.touch),
        figures,
        HistoryQueries(HistoryStore(pool), _now),
        DriftQueries(DriftStore(pool), CatalogueClient(runtime.bus.broker).song_plan, keep, _now),
    )
    runtime.background(recorder.run, "alarms")
    runtime.background(figures.run, "fleet figures")
    _publish_outbox(runtime, pool)
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "samples": durable_check(jetstream, TELEMETRY_SAMPLES),
        "store": durable_check(jetstream, TELEMETRY_STORE),
        "presence": durable_check(jetstream, TELEMETRY_PRESENCE),
        "events": durable_check(jetstream, TELEMETRY_EVENTS),
    }


def _publish_outbox(runtime: Runtime, pool: Pool) -> None:
    """Publish the events of the outbox, remove old rows and count the alarms."""
    counted = Gauge("k1_telemetry_alarms", "Alarms by state", ["status"], registry=runtime.registry)
    maintenance = Maintenance(pool, SCHEMA, runtime.registry, counted, count_by_state)
    runtime.background(maintenance.run, "message tables")
    mode = MaintenanceMode(runtime.bus.jetstream)
    runtime.background(OutboxRelay(pool, runtime.bus.broker, SCHEMA, mode.is_frozen).run, "outbox relay")


def main() -> None:
    """Run the service until it is stopped."""
    run_service("telemetry", TelemetrySettings(), wire, transient=TRANSIENT_ERRORS)
