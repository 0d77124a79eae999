"""Plans a deployment: a dry run that changes nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_contracts.graph import GraphImpact
from k1_contracts.messages.deploy.bundles import BundleInfo, CompareGraphs, GetBundle
from k1_contracts.messages.deploy.deployment_queries import DeploymentPlan, DevicePlan, PlanDeployment
from k1_contracts.messages.deploy.deployments import (
    DEPLOYMENT_MAX_DEVICES,
    OVERRIDABLE,
    ActivateAt,
    DeploymentOrder,
)
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.devices.deployment_lookup import DeploymentLookup
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.gates import device_checks, passed, show_checks
from k1_deploy.requests.plan_summary import summarize_steps
from k1_deploy.saga.strategy import allowed_failures, batches
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Connection, Pool

MAX_CONCURRENT_COMPARISONS: Final = 8
_log = logging.getLogger(__name__)


async def find_targets(connection: Connection, order: DeploymentOrder) -> dict[str, DeviceRow]:
    """Return the devices of an order by id, in its order; those of a group sorted by id.

    Raises:
        QueryError: the order names no devices, names them in both ways, or names an empty group or unknown devices.
    """
    if (order.group is None) == (not order.device_ids):
        raise errors.no_targets()
    ids = list(dict.fromkeys(order.device_ids or []))
    if order.group is not None:
        ids = await device_store.devices_of_group(connection, order.group)
        if not ids:
            raise errors.group_empty(order.group)
        if len(ids) > DEPLOYMENT_MAX_DEVICES:
            raise errors.group_too_large(order.group, len(ids))
    known = await device_store.get_devices(connection, ids)
    missing = [device_id for device_id in ids if device_id not in known]
    if missing:
        raise errors.devices_not_found(missing)
    return {device_id: known[device_id] for device_id in ids}


def require_overridable(order: DeploymentOrder) -> None:
    """Raise QueryError when an override names a gate that cannot be overridden."""
    for each in order.overrides:
        if each.gate not in OVERRIDABLE:
            raise errors.gate_not_overridable(each.gate)


def require_future(order: DeploymentOrder, now: datetime) -> None:
    """Raise QueryError when the activation time of an order is past."""
    if isinstance(order.activation, ActivateAt) and order.activation.at <= now:
        raise errors.activation_in_the_past(order.activation.at, now)


@dataclass(frozen=True, slots=True)
class Planner:
    """Serves `rpc.deploy.deployment.plan`."""

    pool: Pool
    presence: PresenceCache
    deployments: DeploymentLookup
    get_bundle: Callable[[GetBundle], Awaitable[BundleInfo]]
    compare: Callable[[CompareGraphs], Awaitable[GraphImpact]]
    clock: Callable[[], datetime]

    async def plan(self, order: PlanDeployment) -> DeploymentPlan:
        """Return what the order would do, without any effect; raise QueryError for an invalid order."""
        require_overridable(order)
        require_future(order, self.clock())
        async with self.pool.acquire() as connection:
            rows = await find_targets(connection, order)
            holders = await self.deployments.find_holders(connection, list(rows))
        info = await self.get_bundle(GetBundle(track_id=order.track_id, version=order.version))
        plan = _plan(order, info, self._devices(order, info, rows), sorted(set(holders.values())))
        if not order.with_impacts:
            return plan
        return plan.model_copy(update={"impacts": await self._impacts(order, rows.values())})

    def _devices(
        self,
        order: DeploymentOrder,
        info: BundleInfo,
        rows: Mapping[str, DeviceRow],
    ) -> list[DevicePlan]:
        return [
            DevicePlan(
                device_id=row.id,
                checks=device_checks(row, self.presence.is_online(row.id), info, order.overrides),
                runs=row.running,
            )
            for row in rows.values()
        ]

    async def _impacts(self, order: DeploymentOrder, rows: Iterable[DeviceRow]) -> dict[str, GraphImpact]:
        """Return what would change, by the hash of the running bundle, because many devices run the same."""
        running = {row.running.bundle_sha256: row.running for row in rows if row.running}
        slots = asyncio.Semaphore(MAX_CONCURRENT_COMPARISONS)

        async def impact(bundle: RunningBundle) -> GraphImpact | None:
            query = CompareGraphs(track_id=order.track_id, version=order.version, running=bundle)
            try:
                async with slots:
                    return await self.compare(query)
            except QueryError as error:  # a plan without it is still useful
                _log.info("no impact", extra={"bundle": bundle.bundle_sha256, "reason": str(error)})
                return None

        found = await asyncio.gather(*map(impact, running.values()))
        return {sha256: each for sha256, each in zip(running, found, strict=True) if each}


def _plan(
    order: DeploymentOrder, info: BundleInfo, devices: Sequence[DevicePlan], waits_for: Sequence[str]
) -> DeploymentPlan:
    show = show_checks(info, order.overrides)
    passing = [device.device_id for device in devices if passed(device.checks)]
    blocked = len(devices) - len(passing)
    groups = batches(order.strategy, passing)
    numbers = {device_id: number for number, batch in enumerate(groups, 1) for device_id in batch}
    would_start = passed(show) and bool(passing) and blocked <= allowed_failures(order.strategy, len(devices))
    return DeploymentPlan(
        bundle=info.bundle,
        checks=show,
        devices=[device.model_copy(update={"batch": numbers.get(device.device_id)}) for device in devices],
        batches=groups,
        would_start=would_start,
        waits_for=list(waits_for),
        steps=summarize_steps(order, info.bundle, groups, blocked, waits_for) if would_start else [],
    )
