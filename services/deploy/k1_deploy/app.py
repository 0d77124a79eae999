"""The composition root: settings in, connections opened, handlers wired."""

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

from prometheus_client import Gauge

from k1_contracts import streams
from k1_contracts.messages.device_link import DeviceHello
from k1_deploy import store
from k1_deploy.catalogue import Catalogue
from k1_deploy.deployment_questions import DeploymentQuestions
from k1_deploy.devices.chunks import BundleCache, Chunks
from k1_deploy.devices.connection_watch import ConnectionWatch
from k1_deploy.devices.credentials import DeviceCredentials
from k1_deploy.devices.device_questions import DeviceQuestions, no_alarms
from k1_deploy.devices.device_store import SCHEMA, DeviceRow
from k1_deploy.devices.fetch_intake import FetchIntake
from k1_deploy.devices.inventory import Inventory
from k1_deploy.devices.link import DeviceLink
from k1_deploy.devices.presence import PresenceWatch
from k1_deploy.devices.revoking import CredentialKeeper
from k1_deploy.devices.trust import TrustedKeys, TrustKeeper
from k1_deploy.driving.alarms import Alarms
from k1_deploy.driving.bundles import Bundles
from k1_deploy.driving.commands import Commands
from k1_deploy.driving.healing import Healing
from k1_deploy.driving.live import LiveFeed
from k1_deploy.driving.locks import DeviceHoldings
from k1_deploy.driving.opening import Opening
from k1_deploy.driving.runner import Runner
from k1_deploy.driving.step_metrics import StepMetrics
from k1_deploy.handlers import answer_questions, consume_hellos, consume_orders
from k1_deploy.planning import Planner
from k1_deploy.requests import Requests
from k1_deploy.saga.entries import logged
from k1_deploy.settings import DeploySettings
from k1_platform.broker import Bus
from k1_platform.database import Pool, check_database, open_pool
from k1_platform.device_credentials import load_device_keys
from k1_platform.device_errors import DeviceErrors
from k1_platform.errors import TransientError
from k1_platform.health import durable_check
from k1_platform.mqtt_state import purge_sessions
from k1_platform.nats_account import AccountRefusedError
from k1_platform.objects import ObjectStore
from k1_platform.outbox import OutboxRelay
from k1_platform.service import Runtime
from k1_platform.settings import NatsSettings, ObjectStoreSettings, PostgresSettings
from k1_platform.upkeep import Upkeep

_log = logging.getLogger(__name__)


def _now() -> datetime:
    return logged(datetime.now(UTC))


async def wire(runtime: Runtime) -> None:
    """Open the stores, then register what is consumed, answered, published and checked."""
    settings = DeploySettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    bus, catalogue, holdings = runtime.bus, Catalogue(runtime.bus.broker), DeviceHoldings()
    device_errors = DeviceErrors(bus.client)
    link = DeviceLink(bus.client, errors=device_errors)
    await link.start()
    watch = PresenceWatch(bus.client, bus.jetstream)
    await watch.start()
    keys = TrustedKeys(catalogue.list_keys)
    trust = TrustKeeper(link, keys)
    alarms, commands = Alarms(pool), Commands(link, Bundles(pool, objects), Random())  # noqa: S311  for the spread of retries
    opening = _opening(runtime, pool, commands, trust, catalogue)
    runner, healing = Runner(pool, opening, _now, settings.lease_seconds), Healing(pool, commands, _now)

    async def on_hello(device: DeviceRow, hello: DeviceHello) -> None:
        await alarms.heard(device, hello)
        trust.heard(hello)
        healing.heard(hello.id)

    consume_hellos(bus, Inventory(pool, device_errors, on_hello), workers=settings.consumers)
    requests = Requests(pool, catalogue.get_bundle, settings.guard_seconds)
    consume_orders(bus, requests, alarms, workers=settings.consumers)
    chunks = Chunks(pool, bus.client, BundleCache(objects), holdings, device_errors)
    await FetchIntake(bus.client, chunks, device_errors, asyncio.Semaphore(settings.consumers)).start()
    connections = _connection_watch(runtime, settings.nats_keys, device_errors)
    answer_questions(
        bus,
        devices=DeviceQuestions(
            pool=pool,
            presence=watch.table,
            holdings=holdings,
            keeper=await _credential_keeper(bus, pool, settings.nats_keys),
            get_bundle=catalogue.get_bundle,
            trusted_keys=keys.get,
            clock=_now,
            servers=settings.device_servers(),
            credential_alarms=connections.alarms if connections else no_alarms,
        ),
        orders=DeploymentQuestions(pool, runner.percents, _now),
        planner=Planner(pool, watch.table, holdings, catalogue.get_bundle, catalogue.compare, _now),
    )
    runtime.background(runner.run, "runner")
    runtime.background(healing.run, "healing")
    counted = Gauge("k1_deploy_deployments", "Deployments by status", ["status"], registry=runtime.registry)
    upkeep = Upkeep(pool, SCHEMA, runtime.registry, counted, store.count_by_status)
    runtime.background(upkeep.run, "upkeep")
    runtime.background(OutboxRelay(pool, bus.broker, SCHEMA).run, "outbox relay")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "objects": objects.check,
        "deploy": durable_check(bus.jetstream, streams.DEPLOY),
        "deploy-devices": durable_check(bus.jetstream, streams.DEPLOY_DEVICES),
    }


def _opening(
    runtime: Runtime, pool: Pool, commands: Commands, trust: TrustKeeper, catalogue: Catalogue
) -> Opening:
    """What makes drivers, with those who hear of every entry that was written."""
    return Opening(
        pool=pool,
        commands=commands,
        trust=trust,
        live=LiveFeed(runtime.bus.client),
        metrics=StepMetrics(runtime.registry),
        downbeats=catalogue.downbeats,
        tracer=runtime.tracer_provider.get_tracer("k1.deploy"),
        clock=_now,
    )


def _connection_watch(runtime: Runtime, folder: Path | None, errors: DeviceErrors) -> ConnectionWatch | None:
    """What sees who is connected as which device, if there are keys for it."""
    if folder is None:
        return None
    watch = ConnectionWatch(NatsSettings().url, load_device_keys(folder), runtime.bus, errors)
    runtime.background(watch.run, "connections")
    return watch


async def _credential_keeper(bus: Bus, pool: Pool, folder: Path | None) -> CredentialKeeper | None:
    """With the revocations brought to the bus, in case it was restored or this code lets devices do other things."""
    if folder is None:
        _log.warning("no K1_DEPLOY_NATS_KEYS: devices cannot be added or revoked")
        return None
    credentials = DeviceCredentials(folder, NatsSettings().url)
    keeper = CredentialKeeper(pool, credentials, partial(purge_sessions, bus.jetstream))
    try:
        await keeper.push_revocations()
    except (TransientError, AccountRefusedError) as error:
        _log.warning("revocations not brought to the bus", extra={"reason": str(error)})
    return keeper
