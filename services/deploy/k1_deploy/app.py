"""The composition root: reads the settings, opens the connections and wires the handlers."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from prometheus_client import Gauge

from k1_contracts.durables import DEPLOY, DEPLOY_DEVICES
from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_deploy.catalogue_client import CatalogueClient
from k1_deploy.devices.access.connection_monitor import ConnectionMonitor
from k1_deploy.devices.access.credential_issuer import NatsCredentialIssuer
from k1_deploy.devices.access.credential_service import CredentialService
from k1_deploy.devices.device_link.chunk_requests import ChunkRequests
from k1_deploy.devices.device_link.chunks import BundleCache, ChunkServer
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.devices.device_link.trusted_keys import TrustedKeyCache, TrustUpdater
from k1_deploy.devices.device_queries import DeviceQueries, no_alarms
from k1_deploy.devices.device_store import SCHEMA, DeviceRow
from k1_deploy.devices.inventory import Inventory
from k1_deploy.devices.presence_cache import PresenceWatcher
from k1_deploy.handlers import consume_events, consume_hellos, serve_queries, subscribe_devices
from k1_deploy.orchestration.events.live_feed import LiveFeed
from k1_deploy.orchestration.execution.executor_factory import ExecutorFactory
from k1_deploy.orchestration.execution.scheduler import DeploymentScheduler
from k1_deploy.orchestration.observability.gauges import DeployGauges
from k1_deploy.orchestration.observability.step_metrics import StepMetrics
from k1_deploy.orchestration.reconciler import Reconciler
from k1_deploy.orchestration.retention import DeploymentRetention
from k1_deploy.orchestration.signal_intake import SignalIntake
from k1_deploy.orchestration.steps.device_commands import DeviceCommands
from k1_deploy.orchestration.storage import deployment_store
from k1_deploy.orchestration.storage.bundle_locations import BundleLocator
from k1_deploy.orchestration.storage.device_locks import DeviceLockLookup
from k1_deploy.requests.bundle_queries import BundleQueries
from k1_deploy.requests.deployment_queries import DeploymentQueries
from k1_deploy.requests.fleet_queries import FleetQueries
from k1_deploy.requests.orders import DeploymentRequests
from k1_deploy.requests.plans import Planner
from k1_deploy.saga.entries import truncate_to_ms
from k1_deploy.settings import DeploySettings
from k1_platform.auth.device_credentials import load_device_keys
from k1_platform.errors import TransientError
from k1_platform.nats.administration.accounts import AccountRejectedError
from k1_platform.nats.administration.mqtt_state import purge_sessions
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.bus.health import durable_check
from k1_platform.nats.device_errors import DeviceErrors
from k1_platform.nats.maintenance_mode import MaintenanceMode
from k1_platform.postgres.maintenance import Maintenance
from k1_platform.postgres.outbox import OutboxRelay
from k1_platform.postgres.pool import Pool, check_database, open_pool
from k1_platform.service import Runtime
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return truncate_to_ms(datetime.now(UTC))


async def wire(runtime: Runtime) -> None:
    """Open the stores, then register what is consumed, served, published and checked."""
    settings = DeploySettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    objects = ObjectStore(ObjectStoreSettings(), runtime.registry)
    runtime.cleanup.callback(objects.close)
    bus, catalogue, lookup = runtime.bus, CatalogueClient(runtime.bus.broker), DeviceLockLookup()
    device_errors = DeviceErrors(bus.client)
    link = DeviceLink(bus.client, errors=device_errors)
    presence = PresenceWatcher(bus.client, bus.jetstream)
    chunks = ChunkServer(pool, bus.client, BundleCache(objects), lookup, device_errors)
    chunk_requests = ChunkRequests(bus.client, chunks, device_errors, asyncio.Semaphore(settings.consumers))
    await subscribe_devices(link, presence, chunk_requests)
    keys = TrustedKeyCache(catalogue.list_keys)
    trust, signals = TrustUpdater(link, keys), SignalIntake(pool)
    commands = DeviceCommands(link, BundleLocator(pool, objects), Random())  # noqa: S311  for the jitter of retries
    factory = _executor_factory(runtime, pool, commands, trust, catalogue)
    scheduler = DeploymentScheduler(pool, factory, _now, settings.lease_seconds)
    reconciler = Reconciler(pool, commands, _now)

    async def on_hello(device: DeviceRow, hello: DeviceHello) -> None:
        await signals.handle_hello(device, hello)
        trust.handle_hello(hello)
        reconciler.handle_hello(hello.id)

    consume_hellos(bus, Inventory(pool, device_errors, on_hello), workers=settings.consumers)
    requests = DeploymentRequests(pool, catalogue.get_bundle, settings.guard_seconds)
    consume_events(bus, requests, signals, workers=settings.consumers)
    connections = _connection_monitor(runtime, settings.nats_keys, device_errors)
    serve_queries(
        bus,
        bundle_queries=BundleQueries(pool, presence.cache, catalogue.get_bundle),
        device_queries=DeviceQueries(
            pool=pool,
            presence=presence.cache,
            deployments=lookup,
            credentials=await _credential_service(bus, pool, settings.nats_keys),
            trusted_keys=keys.get,
            clock=_now,
            servers=settings.device_servers(),
            credential_alarms=connections.alarms if connections else no_alarms,
        ),
        planner=Planner(pool, presence.cache, lookup, catalogue.get_bundle, catalogue.compare, _now),
        deployment_queries=DeploymentQueries(pool, scheduler.percents, _now),
        fleet_queries=FleetQueries(pool, presence.cache),
    )
    runtime.background(scheduler.run, "scheduler")
    runtime.background(reconciler.run, "reconciler")
    gauges = DeployGauges(runtime.registry, presence.cache)
    _run_maintenance(runtime, pool, gauges, timedelta(days=settings.keep_days))
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "objects": objects.check,
        "deploy": durable_check(bus.jetstream, DEPLOY),
        "deploy-devices": durable_check(bus.jetstream, DEPLOY_DEVICES),
    }


def _run_maintenance(runtime: Runtime, pool: Pool, gauges: DeployGauges, keep: timedelta) -> None:
    """Publish the events of the outbox, remove old rows and count the deployments."""
    counted = Gauge("k1_deploy_deployments", "Deployments by status", ["status"], registry=runtime.registry)
    count = deployment_store.count_by_status
    maintenance = Maintenance(pool, SCHEMA, runtime.registry, counted, count, measure=gauges.measure)
    runtime.background(maintenance.run, "maintenance")
    mode = MaintenanceMode(runtime.bus.jetstream)
    runtime.background(OutboxRelay(pool, runtime.bus.broker, SCHEMA, mode.is_frozen).run, "outbox relay")
    retention = DeploymentRetention(pool, keep, _now, mode.keeps_objects)
    runtime.background(retention.run, "removal of old deployments")


def _executor_factory(
    runtime: Runtime, pool: Pool, commands: DeviceCommands, trust: TrustUpdater, catalogue: CatalogueClient
) -> ExecutorFactory:
    """Return the factory of executors, with what they publish and measure for every entry of a log."""
    return ExecutorFactory(
        pool=pool,
        commands=commands,
        trust=trust,
        live=LiveFeed(runtime.bus.client),
        metrics=StepMetrics(runtime.registry),
        downbeats=catalogue.downbeats,
        tracer=runtime.tracer_provider.get_tracer("k1.deploy"),
        clock=_now,
    )


def _connection_monitor(
    runtime: Runtime, folder: Path | None, errors: DeviceErrors
) -> ConnectionMonitor | None:
    """Return the monitor of the devices' connections; None when no keys are configured."""
    if folder is None:
        return None
    monitor = ConnectionMonitor(NatsSettings().url, load_device_keys(folder), runtime.bus, errors)
    runtime.background(monitor.run, "connections")
    return monitor


async def _credential_service(bus: Bus, pool: Pool, folder: Path | None) -> CredentialService | None:
    """Return the service that issues and revokes credentials; None when no keys are configured.

    The revocations are pushed to the NATS server, because its data may have been restored, or this version of the
    code may give devices other permissions.
    """
    if folder is None:
        _log.warning("no K1_DEPLOY_NATS_KEYS: devices cannot be added or revoked")
        return None
    issuer = NatsCredentialIssuer(folder, NatsSettings().url)
    service = CredentialService(pool, issuer, partial(purge_sessions, bus.jetstream))
    try:
        await service.push_revocations()
    except (TransientError, AccountRejectedError) as error:
        _log.warning("revocations not pushed to the NATS server", extra={"reason": str(error)})
    return service
