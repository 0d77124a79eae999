"""Finds out whether the system is quiescent: deployments ended, devices reconciled, nothing held or on its way."""

from collections.abc import Mapping, Sequence
from typing import Final

from k1_contracts.durables import DEPLOY, DEPLOY_DEVICES
from k1_contracts.messages.deploy.deployments import ENDED
from k1_simulator.device import DeviceState
from tests.chaos.deployments.client import PATIENCE_S, ChaosClient
from tests.chaos.deployments.scenarios import Scenario

_TRANSIENT_ROWS: Final = {
    "locks": "deploy.device_locks",
    "signals": "deploy.signals",
    "leases": "deploy.deployments WHERE owner IS NOT NULL",
    "outbox rows": "deploy.outbox",
    "devices to reconcile": "deploy.deployment_devices WHERE outcome = 'rollback_pending'",
}
"""Tables that are empty when nothing is in progress."""


async def find_activity(
    client: ChaosClient, scenario: Scenario, deployment_ids: Sequence[str], states: Mapping[str, DeviceState]
) -> str | None:
    """Return something that is still in progress, or None when the system is quiescent."""
    closed = True
    for id_ in deployment_ids:
        row = await client.deployment(id_)
        if row is None or row["status"] not in ENDED:
            return f"{id_} is {row['status'] if row else 'missing'}"
        if not row["closed"] and scenario.guard_s < PATIENCE_S:
            return "the guard is not over"
        closed = closed and row["closed"]
    for what, where in _TRANSIENT_ROWS.items():
        if count := await client.pool.fetchval(f"SELECT count(*) FROM {where}"):
            return f"{count} {what}"
    expected = await client.expected_bundles(scenario.device_ids)
    activities = (_device_activity(state, expected[id_], closed=closed) for id_, state in states.items())
    return next(filter(None, activities), None) or await _undelivered_messages(client)


def _device_activity(state: DeviceState, expected: str | None, *, closed: bool) -> str | None:
    active = state.active.bundle_sha256 if state.active else None
    if not state.online:
        return f"{state.device_id} is not online ({state.trouble})"
    if expected != active or state.armed:
        return f"{state.device_id} runs {active}, should run {expected}, is armed with {state.armed}"
    if closed and state.staged:
        return f"{state.device_id} still holds {state.staged}"
    return None


async def _undelivered_messages(client: ChaosClient) -> str | None:
    jetstream = client.nats.jetstream()
    for durable in (DEPLOY, DEPLOY_DEVICES):
        info = await jetstream.consumer_info(durable.stream, durable.name)
        if count := (info.num_pending or 0) + (info.num_ack_pending or 0):
            return f"{count} messages for {durable.name}"
    return None
