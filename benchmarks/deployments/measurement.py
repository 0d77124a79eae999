"""Measures a deployment by the service and by the sequential baseline, on the same devices."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from benchmarks.deployments.sequential import SequentialDeployment
from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_CONTROL, ControlDeployment
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED, RequestDeployment, Strategy
from k1_contracts.messages.deploy.devices import DEVICE_ADD, AddDevices
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.orchestration.storage.bundle_locations import BundleLocator
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore
from k1_simulator.identity import device_names, provisioned
from tests.chaos.deployments.client import ChaosClient
from tests.chaos.deployments.harness import ChaosHarness

TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Measurement:
    """Durations in seconds, and the activation times of the devices (s, one clock for all)."""

    phases: dict[str, float]
    rolled_out_s: float
    rolled_back_s: float
    moments: list[float]
    baseline_rolled_out_s: float
    baseline_rolled_back_s: float
    baseline_moments: list[float]


def activation_spread_ms(moments: list[float]) -> list[float]:
    """Return the delay of each device after the first activation, sorted, in ms."""
    return sorted((moment - min(moments)) * 1e3 for moment in moments)


class FleetProcess:
    """Runs `benchmarks.deployments.fleet_process` as a child process."""

    def __init__(self, plan: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.deployments.fleet_process", str(plan)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._read() == "ready", "the devices are not online"

    def moments(self) -> list[float]:
        """Return the activation times since the last call."""
        assert self._process.stdin
        self._process.stdin.write("moments\n")
        return json.loads(self._read())

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


async def measure(harness: ChaosHarness, count: int, bytes_per_s: float | None) -> Measurement:
    """Deploy and roll back with the service, then with the baseline on the same devices."""
    async with (
        harness.connect() as client,
        _devices(harness, client, count, bytes_per_s) as (device_ids, fleet),
    ):
        phases = await _roll_out(harness, client, device_ids)
        moments = await in_thread(fleet.moments)
        rolled_back_s = await _roll_back(client, phases.deployment_id)
        objects = ObjectStore(harness.objects)
        link = DeviceLink(client.nats)
        await link.start()
        baseline = SequentialDeployment(link, BundleLocator(client.pool, objects), harness.old, harness.new)
        baseline_rolled_out_s = await baseline.roll_out(device_ids)
        baseline_moments = await in_thread(fleet.moments)
        baseline_rolled_back_s = await baseline.roll_back(device_ids)
        objects.close()
    return Measurement(
        phases.seconds,
        phases.total_s,
        rolled_back_s,
        moments,
        baseline_rolled_out_s,
        baseline_rolled_back_s,
        baseline_moments,
    )


@asynccontextmanager
async def _devices(
    harness: ChaosHarness, client: ChaosClient, count: int, bytes_per_s: float | None
) -> AsyncGenerator[tuple[list[str], FleetProcess]]:
    """Start devices that run the old bundle; wait until deploy knows their desired state."""
    ids = device_names(f"b{count}", count)
    identities: list[dict[str, object]] = []
    for first in range(0, count, 100):
        request = AddDevices(device_ids=ids[first : first + 100])
        added = await client.request(DEVICE_ADD, request)
        identities += [each.model_dump(mode="json") for each in provisioned(added)]
    factory, plan = harness.folder / "factory.k1b", harness.folder / f"fleet-{count}.json"
    factory.write_bytes(harness.old.bundle.data)
    folder = harness.folder / f"devices-{count}"
    settings = {
        "nats_url": harness.nats.url,
        "folder": str(folder),
        "factory": str(factory),
        "bytes_per_s": bytes_per_s,
    }
    plan.write_text(json.dumps(settings | {"identities": identities}))
    fleet = await in_thread(FleetProcess, plan)
    try:
        known = "SELECT count(*) FROM deploy.devices WHERE id = ANY($1::text[]) AND expected_known"
        await _until(client, known, ids, count)
        yield ids, fleet
    finally:
        await in_thread(fleet.end)


@dataclass(frozen=True)
class _Phases:
    deployment_id: str
    seconds: dict[str, float]

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


async def _roll_out(harness: ChaosHarness, client: ChaosClient, device_ids: list[str]) -> _Phases:
    """Deploy the new bundle and return the duration of each phase, from the event log."""
    ref = harness.new.info.bundle
    ordered = datetime.now(UTC)
    order = RequestDeployment(
        deployment_id=new_id("dep"),
        track_id=ref.track_id,
        version=ref.version,
        device_ids=device_ids,
        strategy=Strategy(observe_seconds=0),
        requested_at=ordered,
    )
    await client.publish(DEPLOY_REQUESTED, order)
    await _until_status(client, order.deployment_id, "succeeded")
    view = await client.view(order.deployment_id)
    started = {line.text: line.at for line in view.log}
    marks = [ordered, started["checking"], started["staging"], started["activating"], started["observing"]]
    names = ["take up", "check", "stage", "activate and verify"]
    seconds = [(after - before).total_seconds() for before, after in pairwise(marks)]
    return _Phases(order.deployment_id, dict(zip(names, seconds, strict=True)))


async def _roll_back(client: ChaosClient, deployment_id: str) -> float:
    """Roll back; return the seconds until every device runs the old bundle and the new one is discarded."""
    control = ControlDeployment(deployment_id=deployment_id, action="rollback")
    started = time.monotonic()
    request = asyncio.create_task(client.request(DEPLOYMENT_CONTROL, control))
    await _until_status(client, deployment_id, "rolled_back")
    seconds = time.monotonic() - started
    await request
    return seconds


async def _until_status(client: ChaosClient, deployment_id: str, status: str) -> None:
    query = "SELECT count(*) FROM deploy.deployments WHERE id = $1 AND status = $2"
    await _until(client, query, deployment_id, status, 1)


async def _until(client: ChaosClient, query: str, *arguments: object) -> None:
    *parameters, expected = arguments
    deadline = time.monotonic() + TIMEOUT_S
    while (found := await client.pool.fetchval(query, *parameters)) != expected:
        assert time.monotonic() < deadline, f"{query}: {found}, not {expected}"
        await asyncio.sleep(0.02)
