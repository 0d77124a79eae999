"""All devices activate at one moment: the scheduler in this process, by a clock that only a test moves."""

from datetime import datetime, timedelta

import pytest

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from services.deploy.tests.deployments.fake_devices import FakeDevice
from services.deploy.tests.deployments.local_scheduler import (
    RecordingLink,
    request,
    running_scheduler,
    until_status,
    wall_clock,
)
from tests.support.waiting import eventually

TICK = timedelta(milliseconds=1)
"""After it a moment has certainly come, however the clocks' fractions were rounded."""


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = wall_clock()

    def __call__(self) -> datetime:
        return self.now

    def unix(self) -> float:
        return self.now.timestamp()


async def exact_devices(harness: DeploymentHarness, clock: Clock, count: int) -> list[FakeDevice]:
    """Add devices with separate clocks, which wait for their moment."""
    devices = await harness.add_devices(count, connect=False)
    for device in devices:
        device.unix, device.activates_immediately = clock.unix, False
        await device.connect()
    return devices


async def until_armed(link: RecordingLink, devices: list[FakeDevice]) -> None:
    async def armed() -> bool:
        return link.armed() >= {device.id for device in devices}

    await eventually(armed, "every device is armed, and that is known")


async def changed_at(
    harness: DeploymentHarness, deployment: str, devices: list[FakeDevice], at: datetime
) -> None:
    """Check that all have activated at this moment and reported it."""
    await until_status(harness, deployment, "succeeded")
    moments = [moment for device in devices for moment in device.activated_at]
    assert moments == pytest.approx([at.timestamp()] * len(devices), abs=0.002)
    assert await harness.moments(deployment) == [at] * len(devices)
    assert await harness.errors_ms(deployment) == pytest.approx([0.0] * len(devices), abs=2.0)


async def test_at_a_clock_time(harness: DeploymentHarness) -> None:
    """All activate at the given moment and not before, by clocks that start at different times."""
    clock = Clock()
    devices = await exact_devices(harness, clock, 4)
    at = clock.now + timedelta(minutes=1)
    async with running_scheduler(harness, clock) as link:
        ids = [device.id for device in devices]
        deployment = await request(harness, ids, activation={"when": "time", "at": at})
        await until_status(harness, deployment, "activating")
        clock.now = at - timedelta(seconds=5)
        await until_armed(link, devices)
        assert not any(device.activated_at for device in devices)
        clock.now = at + TICK
        await changed_at(harness, deployment, devices, at)


async def test_on_the_next_downbeat(harness: DeploymentHarness) -> None:
    """Of the song that plays, by its map."""
    clock = Clock()
    devices = await exact_devices(harness, clock, 3)
    harness.downbeats_ms = [60_000.0 * bar for bar in range(1000)]
    harness.song_began = clock.now - timedelta(seconds=90)
    bar = harness.song_began + timedelta(seconds=120)
    async with running_scheduler(harness, clock) as link:
        deployment = await request(harness, [device.id for device in devices])
        await until_armed(link, devices)
        assert not any(device.activated_at for device in devices)
        clock.now = bar + TICK
        await changed_at(harness, deployment, devices, bar)
