"""The quality gate: the drift of the first batch decides whether the rollout goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from k1_contracts.messages.deploy.deployments import Quality
from k1_contracts.messages.telemetry import LIVE_READING, LiveSample
from k1_deploy.saga.quality import DriftMeter, QualityVerdict, bar_length, time_limit
from services.deploy.tests.deployments.deployment_harness import DeploymentHarness, open_harness
from services.deploy.tests.deployments.fake_devices import FakeDevice
from services.deploy.tests.saga.saga_model import START
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

BAR = timedelta(seconds=2)
QUALITY = Quality(max_drift_ms=20, bars=3)


def measure(*readings: tuple[float, float]) -> QualityVerdict | None:
    """Return the first verdict on readings given as (seconds, drift in ms)."""
    meter = DriftMeter(QUALITY, BAR)
    verdicts = (meter.add(START + timedelta(seconds=seconds), drift) for seconds, drift in readings)
    return next(filter(None, verdicts), None)


def test_a_device_passes_when_the_last_bar_is_over() -> None:
    """Not a microsecond earlier, and a drift exactly at the bound is within it, in both directions."""
    steady = [(0.0, 20.0), (1.0, -20.0), (3.0, 0.0), (5.0, 5.0)]
    assert measure(*steady, (5.999999, 1.0)) is None
    assert measure(*steady, (6.0, 1.0)) == QualityVerdict(passed=True, bars=3, max_drift_ms=20.0)


@pytest.mark.parametrize("drift", [20.000001, -20.000001])
def test_one_reading_beyond_the_bound_ends_it(drift: float) -> None:
    """The reason names the bar."""
    verdict = measure((0.0, 1.0), (2.5, drift), (3.0, 1.0))
    assert verdict is not None
    assert not verdict.passed
    assert verdict.reason == f"drift_ms {drift:+.1f} in bar 1 of 3, more than 20"


def test_a_bar_without_a_reading_starts_the_count_again() -> None:
    """Nothing is known of it; the bars that follow count from the next reading."""
    gap = [(0.0, 1.0), (2.0, 1.0), (6.0, 1.0), (8.0, 1.0), (10.0, 1.0)]
    assert measure(*gap) is None
    assert measure(*gap, (12.0, 1.0)) == QualityVerdict(passed=True, bars=3, max_drift_ms=1.0)


def test_bars_have_the_usual_length_of_the_song() -> None:
    """A pause between two parts does not count; a map without bars has none."""
    assert bar_length([0, 2000, 4000, 9000, 11000]) == timedelta(seconds=2)
    assert bar_length([500]) is None
    assert time_limit(QUALITY, BAR) == timedelta(seconds=48)


@pytest.fixture
async def harness(migrated: Infrastructure) -> AsyncIterator[DeploymentHarness]:
    async with open_harness() as harness:
        yield harness


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
