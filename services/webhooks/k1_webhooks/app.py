"""Starts the webhooks service: opens the stores and connects the parts."""

from datetime import UTC, datetime, timedelta

from prometheus_client import Gauge

from k1_contracts.durables import WEBHOOKS
from k1_platform.nats.bus.health import durable_check
from k1_platform.postgres.maintenance import Maintenance
from k1_platform.postgres.pool import TRANSIENT_ERRORS, check_database, open_pool
from k1_platform.service import Runtime, run_service
from k1_platform.settings import PostgresSettings
from k1_webhooks.database import SCHEMA
from k1_webhooks.deliveries.intake import EventIntake
from k1_webhooks.deliveries.sender import Sender
from k1_webhooks.deliveries.store import count_by_status
from k1_webhooks.deliveries.worker import DeliveryWorker
from k1_webhooks.endpoints.queries import WebhookQueries
from k1_webhooks.handlers import consume_events, serve_queries
from k1_webhooks.master_key import ensure_master_key
from k1_webhooks.settings import WebhooksSettings


def _now() -> datetime:
    return datetime.now(UTC)


async def wire(runtime: Runtime) -> None:
    """Open the stores, register the handlers, start the background tasks and add the readiness checks."""
    settings = WebhooksSettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    master_key = ensure_master_key(settings.key_file)
    sender = Sender.open(master_key, allow_private=settings.allow_private, timeout_s=settings.timeout_s)
    runtime.cleanup.push_async_callback(sender.http.close)
    consume_events(runtime.bus, EventIntake(pool), workers=settings.at_once)
    serve_queries(runtime.bus, WebhookQueries(pool, master_key, settings.allow_private, _now))
    worker = DeliveryWorker(
        pool=pool,
        sender=sender,
        timeout_s=settings.timeout_s,
        at_once=settings.at_once,
        keep=timedelta(days=settings.keep_days),
        registry=runtime.registry,
    )
    runtime.background(worker.run, "deliveries")
    gauge = Gauge("k1_webhooks_deliveries", "Deliveries by status", ["status"], registry=runtime.registry)
    runtime.background(Maintenance(pool, SCHEMA, runtime.registry, gauge, count_by_status).run, "maintenance")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "durable": durable_check(runtime.bus.jetstream, WEBHOOKS),
    }


def main() -> None:
    """Run the service until it is stopped."""
    run_service("webhooks", WebhooksSettings(), wire, transient=TRANSIENT_ERRORS)
