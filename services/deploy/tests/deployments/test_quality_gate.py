"""The quality gate: the drift of the first batch decides whether the rollout goes on."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from k1_contracts.messages.telemetry import LIVE_READING, LiveSample
from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from services.deploy.tests.deployments.fake_devices import FakeDevice
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service("deploy", migrated.environment, tmp_path_factory.mktemp("deploy")) as service:
        yield service


async def order(harness: DeploymentHarness, devices: list[FakeDevice]) -> str:
    harness.downbeats_ms = [0.0, 100.0, 200.0]
    quality = {"max_drift_ms": 20, "bars": 3}
    strategy = {"canary": 1, "max_failures": 1, "observe_seconds": 0.0, "quality": quality}
    return await harness.order(devices, strategy=strategy, activation={"when": "now"})


async def send_readings(harness: DeploymentHarness, device: FakeDevice, drift_ms: float) -> None:
    """Send the readings of a device that plays the song until cancelled, twenty a second."""
    track_id = harness.new.bundle.track_id
    while True:
        values = {"drift_ms": drift_ms, "cpu_pct": 1, "temp_c": 40, "fps": 60, "track_id": track_id}
        sample = LiveSample.model_validate({"timestamp": datetime.now(UTC), "device_id": device.id, **values})
        await harness.client.publish(LIVE_READING.subject_for(device.id), sample.to_json())
        await asyncio.sleep(0.05)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("drift_ms", "status", "line"),
    [
        (12.5, "succeeded", "quality gate passed: at most 12.5 ms of drift for 3 bars"),
        (41.5, "rolled_back", "quality gate failed: drift_ms +41.5 in bar 1 of 3, more than 20"),
    ],
)
async def test_the_drift_of_the_canary_decides(
    harness: DeploymentHarness, drift_ms: float, status: str, line: str
) -> None:
    """The next batch goes only when the canary has passed; otherwise all go back, whatever `max_failures` allows."""
    devices = await harness.add_devices(3)
    sending = asyncio.create_task(send_readings(harness, devices[0], drift_ms))
    try:
        deployment = await order(harness, devices)
        view = await harness.until_status(deployment, "succeeded", "rolled_back", "failed")
    finally:
        sending.cancel()
    assert view.status == status
    assert [each.text for each in view.log if each.device_id == devices[0].id] == [line]
    assert harness.all_run(devices, harness.new if status == "succeeded" else harness.old)
    others_activated = any(verb == "activate" for device in devices[1:] for verb, _ in device.commands)
    assert others_activated is (status == "succeeded")
    if status == "rolled_back":
        assert view.reason == f"quality gate: {devices[0].id}: drift_ms +41.5 in bar 1 of 3, more than 20"
