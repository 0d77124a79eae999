"""Processes that die, stall or stop during a deployment: another continues, and nothing is done twice."""

import asyncio
import os
import random
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from services.deploy.tests.deployments.fake_devices import FakeDevice
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import eventually

LEASE_S = 2.0
"""Shorter than in operation, so that a dead process is replaced sooner."""
NEVER_S = 3600.0
"""A lease that does not expire within a test: the deployment was released."""


class Processes:
    """Starts deploy as often as a test wants."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder, self._running = environment, folder, ExitStack()

    async def start(self, lease_s: float = LEASE_S) -> RunningService:
        environment = self._environment | {"K1_DEPLOY_LEASE_SECONDS": str(lease_s)}
        entered = running_service("deploy", environment, self._folder)
        return await asyncio.to_thread(self._running.enter_context, entered)

    def close(self) -> None:
        self._running.close()


@pytest.fixture
def processes(migrated: Infrastructure, tmp_path: Path):
    processes = Processes(migrated.environment, tmp_path)
    yield processes
    processes.close()


def kinds(device: FakeDevice) -> Counter[str]:
    """Count the device's effects by kind."""
    return Counter(effect.split()[0] for effect in device.effects)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
async def test_killed_at_any_moment(harness: DeploymentHarness, processes: Processes, seed: int) -> None:
    """`kill -9` at random moments, repeatedly: the deployment ends with all devices new or all old."""
    rng = random.Random(seed)
    first = await processes.start()
    devices = await harness.add_devices(6)
    for device in rng.sample(devices, 2):
        device.faults.add("slow_stage")
    deployment = await harness.order(devices, strategy={"canary": 1, "observe_seconds": 0.3})
    await asyncio.sleep(rng.uniform(0.0, 3.0))
    first.process.kill()
    for device in devices:
        device.let_stage.set()
    second = await processes.start()
    await asyncio.sleep(rng.uniform(0.0, 4.0))
    second.process.kill()
    await processes.start()
    view = await harness.until_status(deployment, "succeeded", "failed", "rolled_back")
    info = harness.new if view.status == "succeeded" else harness.old
    assert harness.all_run(devices, info)
    assert {await harness.expected(device) for device in devices} == {info.bundle.sha256}
    assert all(kinds(device)["stage"] <= 1 and kinds(device)["activate"] <= 1 for device in devices)


async def test_a_successor_continues_the_steps_in_progress(
    harness: DeploymentHarness, processes: Processes
) -> None:
    """Killed while devices fetch: they do not fetch again, and the deployment succeeds."""
    first = await processes.start()
    devices = await harness.add_devices(4)
    for device in devices:
        device.faults.add("slow_stage")
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "staging")
    await processes.start()
    first.process.kill()
    for device in devices:
        device.let_stage.set()
    view = await harness.until_status(deployment, "succeeded")
    assert harness.all_run(devices, harness.new)
    assert [line.text for line in view.log if line.text.startswith("taken over")]
    ids = {command.command_id for device in devices for verb, command in device.commands if verb == "stage"}
    assert len(ids) == len(devices)
    assert [kinds(device) for device in devices] == [Counter(stage=1, activate=1)] * 4


async def test_a_stopped_process_releases_its_deployments(
    harness: DeploymentHarness, processes: Processes
) -> None:
    """SIGTERM: another continues, long before the lease would have expired."""
    first = await processes.start(NEVER_S)
    devices = await harness.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "staging")

    async def owner() -> str | None:
        return await harness.pool.fetchval("SELECT owner FROM deploy.deployments WHERE id = $1", deployment)

    before = await owner()
    await processes.start(NEVER_S)
    first.process.terminate()

    async def driven_again() -> bool:
        return await owner() not in {None, before}

    await eventually(driven_again, "the other process drives it")
    for device in devices:
        device.let_stage.set()
    view = await harness.until_status(deployment, "succeeded")
    assert not [line.text for line in view.log if line.text.startswith("taken over")]


async def test_a_process_that_stalls_is_replaced_and_does_no_harm(
    harness: DeploymentHarness, processes: Processes
) -> None:
    """Stopped for longer than its lease, then continued: it neither writes nor commands any more."""
    first = await processes.start()
    devices = await harness.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "staging")
    os.kill(first.process.pid, signal.SIGSTOP)
    await processes.start()

    async def taken_over() -> bool:
        fences = [command.fence for device in devices for _, command in device.commands]
        return len({fence for fence in fences if fence}) > 1

    await eventually(taken_over, "the successor commands with a higher fence")
    os.kill(first.process.pid, signal.SIGCONT)
    for device in devices:
        device.let_stage.set()
    view = await harness.until_status(deployment, "succeeded")
    assert view.counts == {"committed": 3}
    assert [kinds(device) for device in devices] == [Counter(stage=1, activate=1)] * 3
    assert harness.all_run(devices, harness.new)


async def test_two_processes_share_the_work(harness: DeploymentHarness, processes: Processes) -> None:
    """Many deployments, two processes: each is executed by one, and no step is done twice."""
    await processes.start(NEVER_S)
    await processes.start(NEVER_S)
    groups = [await harness.add_devices(2) for _ in range(8)]
    orders = [await harness.order(group) for group in groups]
    for order in orders:
        view = await harness.until_status(order, "succeeded")
        assert not [line.text for line in view.log if line.text.startswith("taken over")]
    devices = [device for group in groups for device in group]
    assert [kinds(device) for device in devices] == [Counter(stage=1, activate=1)] * 16
