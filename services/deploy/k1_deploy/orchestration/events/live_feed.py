"""Publishes live messages about a deployment: each step of each device, and rollbacks caused by an alarm.

Live messages may be lost: each is published once, after the commit of its entry, without an acknowledgement.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nats.aio.client import Client
from nats.errors import Error as NatsError

from k1_contracts.base import Contract
from k1_contracts.messages.deploy.deployments import DEPLOYMENT_CHANGED, DeploymentChange
from k1_contracts.messages.telemetry import LIVE_TRACK, LiveEvent
from k1_deploy.saga.entries import (
    Alarmed,
    CheckFailed,
    Controlled,
    Diverged,
    Intent,
    LogEntry,
    Outcome,
    QualityMeasured,
    Reconciled,
    StatusChanged,
)
from k1_deploy.saga.state import State
from k1_deploy.saga.timeline import ended_step, running_step

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class LiveFeed:
    """Publishes over the process's own connection."""

    client: Client
    _publishing: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def publish_entries(self, before: State, after: State, entries: Sequence[LogEntry]) -> None:
        """Publish the changes by committed entries."""
        messages = [
            (DEPLOYMENT_CHANGED.subject_for(after.deployment_id), change)
            for entry in entries
            for change in _changes(before, after, entry)
        ]
        events = [
            (LIVE_TRACK.subject_for(after.bundle.track_id), _auto_rollback(after, entry))
            for entry in entries
            if isinstance(entry, Alarmed) and after.bundle
        ]
        self._publish([*messages, *events])

    def publish_progress(self, state: State, device_id: str, percent: float, at: datetime) -> None:
        """Publish the progress of a transfer."""
        change = DeploymentChange(
            deployment_id=state.deployment_id,
            status=state.status,
            paused=state.paused,
            device_id=device_id,
            outcome=state.devices[device_id].outcome,
            percent=percent,
            at=at,
        )
        self._publish([(DEPLOYMENT_CHANGED.subject_for(state.deployment_id), change)])

    def _publish(self, messages: Sequence[tuple[str, Contract]]) -> None:
        task = asyncio.create_task(self._send(messages))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _send(self, messages: Sequence[tuple[str, Contract]]) -> None:
        try:
            for subject, body in messages:
                await self.client.publish(subject, body.to_json())
        except NatsError as error:
            _log.warning("live changes were not published", extra={"reason": repr(error)})


def _changes(before: State, after: State, entry: LogEntry) -> Iterator[DeploymentChange]:
    step = None
    if isinstance(entry, Intent):
        step = running_step(entry)
    elif isinstance(entry, Outcome):
        device = before.devices[entry.device_id]
        step = ended_step(device.open if device.open and device.open.step == entry.step else None, entry)
    elif not isinstance(
        entry,
        Alarmed | StatusChanged | Controlled | Reconciled | Diverged | CheckFailed | QualityMeasured,
    ):
        return
    device_id = getattr(entry, "device_id", None)
    yield DeploymentChange(
        deployment_id=after.deployment_id,
        status=after.status,
        paused=after.paused,
        device_id=device_id,
        outcome=after.devices[device_id].outcome if device_id else None,
        step=step,
        at=entry.at,
    )


def _auto_rollback(state: State, entry: Alarmed) -> LiveEvent:
    details = {"device_id": entry.device_id, "reason": entry.reason, "deployment_id": state.deployment_id}
    return LiveEvent(event="auto_rollback", timestamp=entry.at, details=details)
