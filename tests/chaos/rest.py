"""Whether all has come to rest: deployments ended, devices healed, nothing held, nothing on its way."""

from collections.abc import Mapping, Sequence
from typing import Final

from k1_contracts import streams
from k1_contracts.messages.deployments import ENDED
from k1_simulator.device import DeviceState
from tests.chaos.scenarios import Scenario
from tests.chaos.session import PATIENCE_S, Session

_LEFT_BEHIND: Final = {
    "locks": "deploy.device_locks",
    "signals": "deploy.signals",
    "leases": "deploy.deployments WHERE owner IS NOT NULL",
    "outbox rows": "deploy.outbox",
    "devices that wait to be healed": "deploy.deployment_devices WHERE outcome = 'rollback_pending'",
}


async def unrest(
    session: Session, scenario: Scenario, deployment_ids: Sequence[str], states: Mapping[str, DeviceState]
) -> str | None:
    """What is not at rest yet; None when all is."""
    closed = True
    for id_ in deployment_ids:
        row = await session.deployment(id_)
        if row is None or row["status"] not in ENDED:
            return f"{id_} is {row['status'] if row else 'not there'}"
        if not row["closed"] and scenario.guard_s < PATIENCE_S:
            return "the guard is not over"
        closed = closed and row["closed"]
    for what, where in _LEFT_BEHIND.items():
        if count := await session.pool.fetchval(f"SELECT count(*) FROM {where}"):
            return f"{count} {what}"
    expected = await session.expected(scenario.device_ids)
    restless = (_restless(state, expected[id_], closed=closed) for id_, state in states.items())
    return next(filter(None, restless), None) or await _undelivered(session)


def _restless(state: DeviceState, expected: str | None, *, closed: bool) -> str | None:
    active = state.active.bundle_sha256 if state.active else None
    if not state.online:
        return f"{state.device_id} is not online ({state.trouble})"
    if expected != active or state.armed:
        return f"{state.device_id} runs {active}, should run {expected}, is armed with {state.armed}"
    if closed and state.staged:
        return f"{state.device_id} still holds {state.staged}"
    return None


async def _undelivered(session: Session) -> str | None:
    jetstream = session.client.jetstream()
    for durable in (streams.DEPLOY, streams.DEPLOY_DEVICES):
        info = await jetstream.consumer_info(durable.stream, durable.name)
        if count := (info.num_pending or 0) + (info.num_ack_pending or 0):
            return f"{count} messages for {durable.name}"
    return None
