"""The index of the service: every subject and what handles it."""

from typing import Any

from k1_contracts import streams, subjects
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
from k1_deploy.deployment_questions import DeploymentQuestions
from k1_deploy.devices.device_questions import DeviceQuestions
from k1_deploy.devices.inventory import Inventory
from k1_deploy.driving.alarms import Alarms
from k1_deploy.planning import Planner
from k1_deploy.requests import Requests
from k1_platform.broker import Bus
from k1_platform.consuming import Handler, consume, consume_table
from k1_platform.database import TRANSIENT_ERRORS
from k1_platform.rpc import answer


def consume_hellos(bus: Bus, inventory: Inventory, *, workers: int) -> None:
    """Subscribe to what devices say when they connect: `device.*.hello`, without an envelope."""
    consume(bus.broker, streams.DEPLOY_DEVICES, inventory.hello, workers=workers)


def consume_orders(bus: Bus, requests: Requests, alarms: Alarms, *, workers: int) -> None:
    """Subscribe to what begins a deployment and to what may end one."""
    table: dict[str, Handler[Any]] = {
        subjects.DEPLOY_REQUESTED: Handler(RequestDeployment, requests.requested),
        subjects.DEVICE_ALARM: Handler(DeviceAlarm, alarms.raised),
    }
    consume_table(bus.broker, streams.DEPLOY, table, workers=workers)


def answer_questions(
    bus: Bus, *, devices: DeviceQuestions, planner: Planner, orders: DeploymentQuestions
) -> None:
    """Subscribe to the questions of the gateway and of `k1`."""
    table: dict[str, tuple[type[Any], Any]] = {
        subjects.RPC_BUNDLE_GET: (GetBundle, devices.get_bundle_view),
        subjects.RPC_DEPLOYMENT_PLAN: (PlanDeployment, planner.plan),
        subjects.RPC_DEPLOYMENT_LIST: (ListDeployments, orders.list_deployments),
        subjects.RPC_DEPLOYMENT_GET: (GetDeployment, orders.get_deployment),
        subjects.RPC_DEPLOYMENT_CONTROL: (ControlDeployment, orders.control),
        subjects.RPC_DEVICE_LIST: (ListDevices, devices.list_devices),
        subjects.RPC_DEVICE_GET: (GetDevice, devices.get_device),
        subjects.RPC_DEVICE_ADD: (AddDevices, devices.add_devices),
        subjects.RPC_DEVICE_REVOKE: (RevokeDevices, devices.revoke_devices),
    }
    for subject, (model, function) in table.items():
        answer(bus.broker, subject, model, function, transient=TRANSIENT_ERRORS)
