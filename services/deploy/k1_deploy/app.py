"""The composition root: settings in, connections opened, handlers wired."""

from k1_contracts import streams
from k1_contracts.devices import DeviceHello
from k1_deploy.device_store import SCHEMA, DeviceRow
from k1_deploy.handlers import consume_hellos
from k1_deploy.inventory import Inventory
from k1_deploy.link import DeviceLink
from k1_deploy.presence import PresenceWatch
from k1_deploy.settings import DeploySettings
from k1_platform.database import check_database, open_pool
from k1_platform.health import durable_check
from k1_platform.objects import ObjectStore
from k1_platform.outbox import OutboxRelay
from k1_platform.service import Runtime
from k1_platform.settings import ObjectStoreSettings, PostgresSettings


async def wire(runtime: Runtime) -> None:
    """Open the stores, then register what is consumed, answered, published and checked."""
    settings = DeploySettings()
    pool = await open_pool(PostgresSettings(), runtime.name)
    runtime.cleanup.push_async_callback(pool.close)
    objects = ObjectStore(ObjectStoreSettings())
    runtime.cleanup.callback(objects.close)
    jetstream, broker = runtime.bus.jetstream, runtime.bus.broker
    link = DeviceLink(runtime.bus.client)
    await link.start()
    presence = PresenceWatch(runtime.bus.client, jetstream)
    await presence.start()

    async def on_hello(device: DeviceRow, hello: DeviceHello) -> None:
        """Healing goes here."""

    consume_hellos(runtime.bus, Inventory(pool, on_hello), workers=settings.consumers)
    runtime.background(OutboxRelay(pool, broker, SCHEMA).run, "outbox relay")
    runtime.checks |= {
        "postgres": lambda: check_database(pool),
        "objects": objects.check,
        "deploy": durable_check(jetstream, streams.DEPLOY),
        "deploy-devices": durable_check(jetstream, streams.DEPLOY_DEVICES),
    }
