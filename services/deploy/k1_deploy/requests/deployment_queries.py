"""Responds to queries about deployments: lists, one with its timeline; takes controls such as pause and cancel."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opentelemetry import propagate, trace

from k1_contracts.messages.deploy.deployment_queries import (
    ControlDeployment,
    DeploymentPage,
    DeploymentView,
    DeviceDeployment,
    GetDeployment,
    ListDeployments,
)
from k1_deploy import errors
from k1_deploy.devices import device_store
from k1_deploy.orchestration.storage import deployment_store, device_locks, signal_store
from k1_deploy.saga.entries import LogEntry
from k1_deploy.saga.signals import ControlSignal, may_control
from k1_deploy.saga.state import State
from k1_deploy.saga.timeline import device_views, log_lines
from k1_deploy.saga.transitions import fold
from k1_platform.cursors import cursor_after, row_before
from k1_platform.nats.actors import acting_name
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.processes.threads import in_thread

CONTROL_TIMEOUT_S: Final = 3.0
"""How long a control waits for its effect to be in the response."""
_WALK: Final = "deployments"
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class DeploymentQueries:
    """Responds from the logs."""

    pool: Pool
    percents: Callable[[str], Mapping[str, float]]
    """Returns the progress of transfers of a deployment that this process executes."""
    clock: Callable[[], datetime]

    async def list_deployments(self, query: ListDeployments) -> DeploymentPage:
        """Return a page of deployments, the newest first."""
        after = row_before(query.cursor, _WALK, by_time=True)
        async with self.pool.acquire() as connection:
            total, found = await deployment_store.list_summaries(connection, query, after)
        items = found[: query.limit]
        next_cursor = None
        if len(found) > len(items):
            next_cursor = cursor_after(_WALK, items[-1].id, items[-1].created_at)
        return DeploymentPage(total=total, items=items, next_cursor=next_cursor)

    async def get_deployment(self, query: GetDeployment) -> DeploymentView:
        """Return one deployment with each device's timeline, the log and the audit trail."""
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            return await self._view(connection, query.deployment_id)

    async def control(self, query: ControlDeployment) -> DeploymentView:
        """Add a signal for the executor; respond when it was handled, or after CONTROL_TIMEOUT_S."""
        signal = ControlSignal(action=query.action, by=acting_name(query.requested_by), reason=query.reason)
        async with self.pool.acquire() as connection, connection.transaction():
            state = await _state(connection, query.deployment_id)
            if not may_control(state, query.action) and not await _resumes_pending_pause(connection, query):
                raise errors.control_rejected(query.deployment_id, query.action, _describe(state))
            await device_store.write_audit(
                connection,
                [None],
                at=self.clock(),
                stated=query.requested_by,
                action=query.action,
                detail=query.reason,
                deployment_id=query.deployment_id,
            )
            signal_id = await signal_store.add_signal(connection, query.deployment_id, signal)
        await self._wait_until_handled(signal_id)
        return await self.get_deployment(GetDeployment(deployment_id=query.deployment_id))

    async def _wait_until_handled(self, signal_id: int) -> None:
        deadline = time.monotonic() + CONTROL_TIMEOUT_S
        while time.monotonic() < deadline:
            async with self.pool.acquire() as connection:
                if not await signal_store.is_pending(connection, signal_id):
                    return
            await asyncio.sleep(_POLL_S)

    async def _view(self, connection: Connection, deployment_id: str) -> DeploymentView:
        found = await deployment_store.load_deployment(connection, deployment_id)
        summary = await deployment_store.find_summary(connection, deployment_id)
        if found is None or summary is None:
            raise errors.deployment_not_found(deployment_id)
        row, entries = found
        state, devices = await in_thread(_fold_views, deployment_id, entries)
        waits_for = await _blockers(connection, state)
        return DeploymentView.model_validate(
            {
                **dict(summary),
                "strategy": row.request.strategy,
                "activation": row.request.activation,
                "overrides": row.request.overrides,
                "checks": row.checks,
                "waits_for": [each for each in waits_for if each != device_locks.RECONCILER],
                "devices": self._with_percents(deployment_id, devices),
                "log": log_lines(entries),
                "audit": await deployment_store.list_audit_lines(connection, deployment_id),
                "trace_id": _trace_id(row.traceparent),
            }
        )

    def _with_percents(
        self, deployment_id: str, devices: Sequence[DeviceDeployment]
    ) -> list[DeviceDeployment]:
        percents = self.percents(deployment_id)
        return [
            each.model_copy(update={"percent": percents[each.device_id]})
            if each.device_id in percents
            else each
            for each in devices
        ]


def _fold_views(deployment_id: str, entries: Sequence[LogEntry]) -> tuple[State, list[DeviceDeployment]]:
    """Return the state and the timelines; call it in a thread: it takes tenths of a second for 1000 devices."""
    state = fold(deployment_id, entries)
    return state, device_views(state, entries)


async def _blockers(connection: Connection, state: State) -> list[str]:
    """Return what a deployment waits for: to begin, or to lock devices for a rollback after its success."""
    if state.status not in {"queued", "rolling_back"}:
        return []
    free = [
        d.id for d in state.devices.values() if not d.locked and (state.status == "queued" or d.next_undo)
    ]
    return await device_locks.find_blockers(
        connection, state.deployment_id, free, waits=state.status == "queued"
    )


async def _resumes_pending_pause(connection: Connection, query: ControlDeployment) -> bool:
    """Return whether the query resumes a pause that is not handled yet."""
    pending = (await signal_store.list_signals(connection, [query.deployment_id])).values()
    actions = [
        each.signal.action
        for signals in pending
        for each in signals
        if isinstance(each.signal, ControlSignal)
    ]
    return query.action == "resume" and "pause" in actions


async def _state(connection: Connection, deployment_id: str) -> State:
    found = await deployment_store.load_deployment(connection, deployment_id)
    if found is None:
        raise errors.deployment_not_found(deployment_id)
    return fold(deployment_id, found[1])


def _describe(state: State) -> str:
    status = state.status.replace("_", " ")
    if state.paused:
        return f"{status} and paused"
    return f"{status} and turning back already" if state.stop and not state.closed else status


def _trace_id(traceparent: str | None) -> str | None:
    if traceparent is None:
        return None
    context = propagate.extract({"traceparent": traceparent})
    found = trace.get_current_span(context).get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None
