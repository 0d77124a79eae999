"""Answers about deployments: lists, one with everything that happened, and what people want of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from opentelemetry import propagate, trace

from k1_contracts.messages.deployment_queries import (
    ControlDeployment,
    DeploymentPage,
    DeploymentView,
    DeviceDeployment,
    GetDeployment,
    ListDeployments,
)
from k1_deploy import errors, store
from k1_deploy.devices import device_store
from k1_deploy.driving import locks, mailbox
from k1_deploy.saga.entries import LogEntry
from k1_deploy.saga.signals import ControlSignal, may_control
from k1_deploy.saga.state import State
from k1_deploy.saga.timeline import device_views, log_lines
from k1_deploy.saga.transitions import fold
from k1_platform.database import Connection, Pool
from k1_platform.threads import in_thread

TAKEN_WITHIN_S: Final = 3.0
"""How long a control waits for its effect to be in the answer."""
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class DeploymentQuestions:
    """Answers from the logs."""

    pool: Pool
    percents: Callable[[str], Mapping[str, float]]
    """How far transfers are, of a deployment that this process drives."""
    clock: Callable[[], datetime]

    async def list_deployments(self, question: ListDeployments) -> DeploymentPage:
        """The newest first."""
        async with self.pool.acquire() as connection:
            total, items = await store.list_summaries(connection, question)
        return DeploymentPage(total=total, items=items)

    async def get_deployment(self, question: GetDeployment) -> DeploymentView:
        """One with each device's timeline, the log and the audit trail."""
        async with self.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            return await self._view(connection, question.deployment_id)

    async def control(self, question: ControlDeployment) -> DeploymentView:
        """Leave the wish with whoever drives the deployment, and answer when it was taken, or soon after."""
        signal = ControlSignal(action=question.action, by=question.requested_by, reason=question.reason)
        async with self.pool.acquire() as connection, connection.transaction():
            state = await _state(connection, question.deployment_id)
            if not may_control(state, question.action) and not await _undoes_a_wish(connection, question):
                raise errors.control_refused(question.deployment_id, question.action, _words(state))
            await device_store.write_audit(
                connection,
                [None],
                at=self.clock(),
                actor=question.requested_by,
                action=question.action,
                detail=question.reason,
                deployment_id=question.deployment_id,
            )
            signal_id = await mailbox.add_signal(connection, question.deployment_id, signal)
        await self._taken(signal_id)
        return await self.get_deployment(GetDeployment(deployment_id=question.deployment_id))

    async def _taken(self, signal_id: int) -> None:
        deadline = time.monotonic() + TAKEN_WITHIN_S
        while time.monotonic() < deadline:
            async with self.pool.acquire() as connection:
                if not await mailbox.signal_waits(connection, signal_id):
                    return
            await asyncio.sleep(_LOOK_S)

    async def _view(self, connection: Connection, deployment_id: str) -> DeploymentView:
        found = await store.load(connection, deployment_id)
        summary = await store.find_summary(connection, deployment_id)
        if found is None or summary is None:
            raise errors.deployment_not_found(deployment_id)
        row, entries = found
        state, devices = await in_thread(_told, deployment_id, entries)
        waits_for = await _blockers(connection, state)
        return DeploymentView.model_validate(
            {
                **dict(summary),
                "strategy": row.request.strategy,
                "activation": row.request.activation,
                "overrides": row.request.overrides,
                "checks": row.checks,
                "waits_for": [each for each in waits_for if each != locks.HEALING],
                "devices": self._with_percents(deployment_id, devices),
                "log": log_lines(entries),
                "audit": await store.audit_of(connection, deployment_id),
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


def _told(deployment_id: str, entries: Sequence[LogEntry]) -> tuple[State, list[DeviceDeployment]]:
    """Takes tenths of a second for a thousand devices: called in a thread."""
    state = fold(deployment_id, entries)
    return state, device_views(state, entries)


async def _blockers(connection: Connection, state: State) -> list[str]:
    """Of one that waits for devices: to begin, or to take them back after a success."""
    if state.status not in {"queued", "rolling_back"}:
        return []
    free = [
        d.id for d in state.devices.values() if not d.locked and (state.status == "queued" or d.next_undo)
    ]
    return await locks.blockers(connection, state.deployment_id, free, waits=state.status == "queued")


async def _undoes_a_wish(connection: Connection, question: ControlDeployment) -> bool:
    """Whether a pause that nobody has taken yet is to be resumed."""
    waiting = (await mailbox.waiting_signals(connection, [question.deployment_id])).values()
    wishes = [
        each.signal.action
        for signals in waiting
        for each in signals
        if isinstance(each.signal, ControlSignal)
    ]
    return question.action == "resume" and "pause" in wishes


async def _state(connection: Connection, deployment_id: str) -> State:
    found = await store.load(connection, deployment_id)
    if found is None:
        raise errors.deployment_not_found(deployment_id)
    return fold(deployment_id, found[1])


def _words(state: State) -> str:
    words = state.status.replace("_", " ")
    if state.paused:
        return f"{words} and paused"
    return f"{words} and turning back already" if state.stop and not state.closed else words


def _trace_id(traceparent: str | None) -> str | None:
    if traceparent is None:
        return None
    context = propagate.extract({"traceparent": traceparent})
    found = trace.get_current_span(context).get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None
