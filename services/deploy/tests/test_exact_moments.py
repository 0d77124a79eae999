"""All devices change at one moment: driven in this process, by a clock that stands still until a test moves it."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from services.deploy.tests.driving import Link, driving, request, until_status, wall_clock
from services.deploy.tests.stage_devices import StageDevice
from services.deploy.tests.theatre import Theatre, open_theatre, until
from tests.support.infrastructure import Infrastructure

TICK = timedelta(milliseconds=1)
"""A moment has certainly come, however the clocks' fractions were rounded."""


class Clock:
    """The true time of a stage on which it passes when a test says so."""

    def __init__(self) -> None:
        self.now = wall_clock()

    def __call__(self) -> datetime:
        return self.now

    def unix(self) -> float:
        return self.now.timestamp()


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


async def exact_devices(theatre: Theatre, clock: Clock, count: int) -> list[StageDevice]:
    """Devices that wait for their moment, each by a clock that began at some time of its own."""
    devices = await theatre.add_devices(count, connect=False)
    for device in devices:
        device.unix, device.hurries = clock.unix, False
        await device.connect()
    return devices


async def until_armed(link: Link, devices: list[StageDevice]) -> None:
    async def armed() -> bool:
        return link.armed() >= {device.id for device in devices}

    await until(armed, "every device is armed, and that is known")


async def changed_at(theatre: Theatre, deployment: str, devices: list[StageDevice], at: datetime) -> None:
    """All have changed at this moment, and said so."""
    await until_status(theatre, deployment, "succeeded")
    moments = [moment for device in devices for moment in device.activated_at]
    assert moments == pytest.approx([at.timestamp()] * len(devices), abs=0.002)
    assert await theatre.moments(deployment) == [at] * len(devices)
    assert await theatre.errors_ms(deployment) == pytest.approx([0.0] * len(devices), abs=2.0)


async def test_at_a_clock_time(theatre: Theatre) -> None:
    """All change at the given moment and not before, by clocks that know nothing of each other."""
    clock = Clock()
    devices = await exact_devices(theatre, clock, 4)
    at = clock.now + timedelta(minutes=1)
    async with driving(theatre, clock) as link:
        ids = [device.id for device in devices]
        deployment = await request(theatre, ids, activation={"when": "time", "at": at})
        await until_status(theatre, deployment, "activating")
        clock.now = at - timedelta(seconds=5)
        await until_armed(link, devices)
        assert not any(device.activated_at for device in devices)
        clock.now = at + TICK
        await changed_at(theatre, deployment, devices, at)


async def test_on_the_next_downbeat(theatre: Theatre) -> None:
    """Of the song that plays, by its map."""
    clock = Clock()
    devices = await exact_devices(theatre, clock, 3)
    theatre.downbeats_ms = [60_000.0 * bar for bar in range(1000)]
    theatre.song_began = clock.now - timedelta(seconds=90)
    bar = theatre.song_began + timedelta(seconds=120)
    async with driving(theatre, clock) as link:
        deployment = await request(theatre, [device.id for device in devices])
        await until_armed(link, devices)
        assert not any(device.activated_at for device in devices)
        clock.now = bar + TICK
        await changed_at(theatre, deployment, devices, bar)
