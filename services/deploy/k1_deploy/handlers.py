"""The index of the service: every subject that deploy serves or subscribes to, and what handles it.

The events that deploy publishes are made in `orchestration/events/deployment_events.py` (deployments) and
`devices/access/connection_monitor.py` (alarms about credentials), the live messages in
`orchestration/events/live_feed.py`. The connection monitor also subscribes to the system account of the NATS server
(`$SYS.ACCOUNT.<id>.CONNECT` and `DISCONNECT`), over a connection with other credentials.
"""

from k1_contracts.durables import DEPLOY, DEPLOY_DEVICES
from k1_contracts.messages.deploy.bundles import BUNDLE_GET
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
)
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED
from k1_contracts.messages.deploy.devices import (
    DEVICE_ADD,
    DEVICE_GET,
    DEVICE_LIST,
    DEVICE_REVOKE,
)
from k1_contracts.messages.fleet import FLEET_DEVICES
from k1_contracts.messages.telemetry import DEVICE_ALARM
from k1_deploy.devices.device_link.chunk_requests import ChunkRequests
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.devices.device_queries import DeviceQueries
from k1_deploy.devices.inventory import Inventory
from k1_deploy.devices.presence_cache import PresenceWatcher
from k1_deploy.orchestration.signal_intake import SignalIntake
from k1_deploy.requests.bundle_queries import BundleQueries
from k1_deploy.requests.deployment_queries import DeploymentQueries
from k1_deploy.requests.fleet_queries import FleetQueries
from k1_deploy.requests.orders import DeploymentRequests
from k1_deploy.requests.plans import Planner
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.streams.consumers import Handler, consume, consume_table
from k1_platform.postgres.pool import TRANSIENT_ERRORS


def consume_hellos(bus: Bus, inventory: Inventory, *, workers: int) -> None:
    """Subscribe to the hellos of devices: `device.*.hello`, without an envelope."""
    consume(bus.broker, DEPLOY_DEVICES, inventory.handle_hello, workers=workers)


def consume_events(bus: Bus, requests: DeploymentRequests, signals: SignalIntake, *, workers: int) -> None:
    """Subscribe to requests for deployments, and to alarms, which may end a deployment."""
    handlers = [
        Handler(DEPLOY_REQUESTED, requests.handle_request),
        Handler(DEVICE_ALARM, signals.handle_alarm),
    ]
    consume_table(bus.broker, DEPLOY, handlers, workers=workers)


async def subscribe_devices(link: DeviceLink, presence: PresenceWatcher, chunks: ChunkRequests) -> None:
    """Subscribe to messages of devices that no stream stores."""
    await link.start()  # DEVICE_REPLY.pattern, `device.*.reply`, and the inbox of the commands
    await presence.start()  # every key of the bucket streams.PRESENCE
    await chunks.start()  # DEVICE_FETCH.pattern, `device.*.fetch`


def serve_queries(
    bus: Bus,
    *,
    bundle_queries: BundleQueries,
    device_queries: DeviceQueries,
    planner: Planner,
    deployment_queries: DeploymentQueries,
    fleet_queries: FleetQueries,
) -> None:
    """Subscribe to the queries of the gateway and of `k1`."""
    handlers = [
        QueryHandler(BUNDLE_GET, bundle_queries.get_bundle_view),
        QueryHandler(DEPLOYMENT_PLAN, planner.plan),
        QueryHandler(DEPLOYMENT_LIST, deployment_queries.list_deployments),
        QueryHandler(DEPLOYMENT_GET, deployment_queries.get_deployment),
        QueryHandler(DEPLOYMENT_CONTROL, deployment_queries.control),
        QueryHandler(FLEET_DEVICES, fleet_queries.get_fleet_devices),
        QueryHandler(DEVICE_LIST, device_queries.list_devices),
        QueryHandler(DEVICE_GET, device_queries.get_device),
        QueryHandler(DEVICE_ADD, device_queries.add_devices),
        QueryHandler(DEVICE_REVOKE, device_queries.revoke_devices),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)
