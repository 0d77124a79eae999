"""The index of the service: every subject that deploy serves or subscribes to, and what handles it.

The events that deploy publishes are made in `orchestration/deployment_events.py` (deployments) and
`devices/access/connection_monitor.py` (alarms about credentials), the live messages in `orchestration/live_feed.py`.
The connection monitor also subscribes to the system account of the NATS server (`$SYS.ACCOUNT.<id>.CONNECT` and
`DISCONNECT`), over a connection with other credentials.
"""

from typing import Any

from k1_contracts import subjects
from k1_contracts.durables import DEPLOY, DEPLOY_DEVICES
from k1_contracts.messages.bundles import GetBundle
from k1_contracts.messages.deployment_queries import (
    ControlDeployment,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.deployments import RequestDeployment
from k1_contracts.messages.devices import AddDevices, GetDevice, ListDevices, RevokeDevices
from k1_contracts.messages.telemetry import DeviceAlarm
from k1_deploy.devices.device_link.chunk_requests import ChunkRequests
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.devices.device_queries import DeviceQueries
from k1_deploy.devices.inventory import Inventory
from k1_deploy.devices.presence_cache import PresenceWatcher
from k1_deploy.orchestration.signal_intake import SignalIntake
from k1_deploy.requests.bundle_queries import BundleQueries
from k1_deploy.requests.deployment_queries import DeploymentQueries
from k1_deploy.requests.orders import DeploymentRequests
from k1_deploy.requests.plans import Planner
from k1_platform.nats.client import Bus
from k1_platform.nats.consumers import Handler, consume, consume_table
from k1_platform.nats.rpc import respond
from k1_platform.postgres.pool import TRANSIENT_ERRORS


def consume_hellos(bus: Bus, inventory: Inventory, *, workers: int) -> None:
    """Subscribe to the hellos of devices: `device.*.hello`, without an envelope."""
    consume(bus.broker, DEPLOY_DEVICES, inventory.handle_hello, workers=workers)


def consume_events(bus: Bus, requests: DeploymentRequests, signals: SignalIntake, *, workers: int) -> None:
    """Subscribe to requests for deployments, and to alarms, which may end a deployment."""
    table: dict[str, Handler[Any]] = {
        subjects.DEPLOY_REQUESTED: Handler(RequestDeployment, requests.handle_request),
        subjects.DEVICE_ALARM: Handler(DeviceAlarm, signals.handle_alarm),
    }
    consume_table(bus.broker, DEPLOY, table, workers=workers)


async def subscribe_devices(link: DeviceLink, presence: PresenceWatcher, chunks: ChunkRequests) -> None:
    """Subscribe to messages of devices that no stream stores."""
    await link.start()  # subjects.DEVICE_REPLIES, `device.*.reply`, and the inbox of the commands
    await presence.start()  # every key of the bucket streams.PRESENCE
    await chunks.start()  # subjects.DEVICE_FETCHES, `device.*.fetch`


def serve_queries(
    bus: Bus,
    *,
    bundle_queries: BundleQueries,
    device_queries: DeviceQueries,
    planner: Planner,
    deployment_queries: DeploymentQueries,
) -> None:
    """Subscribe to the queries of the gateway and of `k1`."""
    table: dict[str, tuple[type[Any], Any]] = {
        subjects.RPC_BUNDLE_GET: (GetBundle, bundle_queries.get_bundle_view),
        subjects.RPC_DEPLOYMENT_PLAN: (PlanDeployment, planner.plan),
        subjects.RPC_DEPLOYMENT_LIST: (ListDeployments, deployment_queries.list_deployments),
        subjects.RPC_DEPLOYMENT_GET: (GetDeployment, deployment_queries.get_deployment),
        subjects.RPC_DEPLOYMENT_CONTROL: (ControlDeployment, deployment_queries.control),
        subjects.RPC_DEVICE_LIST: (ListDevices, device_queries.list_devices),
        subjects.RPC_DEVICE_GET: (GetDevice, device_queries.get_device),
        subjects.RPC_DEVICE_ADD: (AddDevices, device_queries.add_devices),
        subjects.RPC_DEVICE_REVOKE: (RevokeDevices, device_queries.revoke_devices),
    }
    for subject, (model, function) in table.items():
        respond(bus.broker, subject, model, function, transient=TRANSIENT_ERRORS)
