"""From a lease and a log to a driver."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from opentelemetry.trace import Tracer

from k1_deploy import store
from k1_deploy.devices import device_store
from k1_deploy.devices.trust import TrustKeeper
from k1_deploy.driving import mailbox
from k1_deploy.driving.activation import Activation, Downbeats
from k1_deploy.driving.commands import Commands
from k1_deploy.driving.device_steps import DeviceSteps
from k1_deploy.driving.driver import Driver, Limits
from k1_deploy.driving.journal import Journal
from k1_deploy.driving.leases import Lease
from k1_deploy.driving.live import LiveFeed
from k1_deploy.driving.step_metrics import StepMetrics
from k1_deploy.errors import LeaseLostError
from k1_deploy.saga.entries import LogEntry
from k1_deploy.saga.state import State
from k1_deploy.saga.transitions import fold
from k1_platform.postgres.pool import Pool

STAGED_AT_ONCE = 64
COMMANDED_AT_ONCE = 256


def _limits() -> Limits:
    return Limits(asyncio.Semaphore(STAGED_AT_ONCE), asyncio.Semaphore(COMMANDED_AT_ONCE))


@dataclass(frozen=True, slots=True)
class Opening:
    """What every driver of this process shares."""

    pool: Pool
    commands: Commands
    trust: TrustKeeper
    live: LiveFeed
    metrics: StepMetrics
    downbeats: Downbeats
    tracer: Tracer
    clock: Callable[[], datetime]
    limits: Limits = field(default_factory=_limits)

    async def open(self, lease: Lease) -> Driver:
        """Read the log and the signals and make of them what drives the deployment on.

        Raises:
            IllegalTransitionError: the log is broken.
            LeaseLostError: there is no such deployment any more.
        """
        async with self.pool.acquire() as connection:
            found = await store.load(connection, lease.deployment_id)
            if found is None:
                raise LeaseLostError(f"{lease.deployment_id} is gone")
            row, entries = found
            state = fold(lease.deployment_id, entries)
            devices = await device_store.get_devices(connection, state.devices)
            signals = await mailbox.waiting_signals(connection, [lease.deployment_id])
        driver: list[Driver] = []

        def written(before: State, after: State, added: Sequence[LogEntry]) -> None:
            self.live.written(before, after, added)
            self.metrics.written(before, added)
            driver[0].wake()

        journal = Journal(self.pool, lease, row, state, len(entries), written)
        steps = DeviceSteps(journal, self.commands, self.live, devices, self.clock, self.trust)
        activation = Activation(journal, self.commands, steps.sender, self.downbeats, self.tracer, self.clock)
        driver.append(Driver(self.pool, journal, steps, activation, self.limits, self.tracer, self.clock))
        driver[0].wake(signals.get(lease.deployment_id, []))
        return driver[0]
