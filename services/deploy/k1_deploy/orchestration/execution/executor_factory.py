"""Creates the executor of a deployment from its lease and its log."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry.trace import Tracer

from k1_deploy.devices import device_store
from k1_deploy.devices.device_link.trusted_keys import TrustUpdater
from k1_deploy.errors import LeaseLostError
from k1_deploy.orchestration.events.event_log import EventLog
from k1_deploy.orchestration.events.live_feed import LiveFeed
from k1_deploy.orchestration.execution.executor import DeploymentExecutor, WorkLimits
from k1_deploy.orchestration.observability.step_metrics import StepMetrics
from k1_deploy.orchestration.steps.activation import BatchActivation, Downbeats
from k1_deploy.orchestration.steps.device_commands import DeviceCommands
from k1_deploy.orchestration.steps.device_steps import DeviceSteps
from k1_deploy.orchestration.steps.quality_measurement import QualityMeasurement
from k1_deploy.orchestration.storage import deployment_store, signal_store
from k1_deploy.orchestration.storage.leases import DeploymentLease
from k1_deploy.saga.entries import LogEntry
from k1_deploy.saga.state import State
from k1_deploy.saga.transitions import fold
from k1_platform.postgres.pool import Pool

MAX_CONCURRENT_STAGES = 64
MAX_CONCURRENT_COMMANDS = 256


def _limits() -> WorkLimits:
    return WorkLimits(asyncio.Semaphore(MAX_CONCURRENT_STAGES), asyncio.Semaphore(MAX_CONCURRENT_COMMANDS))


@dataclass(frozen=True, slots=True)
class ExecutorFactory:
    """Holds what all executors of this process share."""

    pool: Pool
    commands: DeviceCommands
    trust: TrustUpdater
    live: LiveFeed
    metrics: StepMetrics
    downbeats: Downbeats
    tracer: Tracer
    clock: Callable[[], datetime]
    limits: WorkLimits = field(default_factory=_limits)

    async def create(self, lease: DeploymentLease) -> DeploymentExecutor:
        """Read the log and the signals, and return the executor that continues the deployment.

        Raises:
            IllegalTransitionError: the log is broken.
            LeaseLostError: the deployment does not exist any more.
        """
        async with self.pool.acquire() as connection:
            found = await deployment_store.load_deployment(connection, lease.deployment_id)
            if found is None:
                raise LeaseLostError(f"{lease.deployment_id} is gone")
            row, entries = found
            state = fold(lease.deployment_id, entries)
            devices = await device_store.get_devices(connection, state.devices)
            signals = await signal_store.list_signals(connection, [lease.deployment_id])
        created: list[DeploymentExecutor] = []

        def on_commit(before: State, after: State, added: Sequence[LogEntry]) -> None:
            self.live.publish_entries(before, after, added)
            self.metrics.record_entries(before, added)
            created[0].wake()

        event_log = EventLog(self.pool, lease, row, state, len(entries), on_commit)
        steps = DeviceSteps(event_log, self.commands, self.live, devices, self.clock, self.trust)
        activation = BatchActivation(
            event_log, self.commands, steps.sender, self.downbeats, self.tracer, self.clock
        )
        created.append(
            DeploymentExecutor(
                pool=self.pool,
                event_log=event_log,
                device_steps=steps,
                activation=activation,
                quality=QualityMeasurement(event_log, self.live.client, self.downbeats, self.clock),
                limits=self.limits,
                tracer=self.tracer,
                clock=self.clock,
            )
        )
        created[0].wake(signals.get(lease.deployment_id, []))
        return created[0]
