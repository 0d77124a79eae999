"""When things happen: at a clock time, on a downbeat, after the guard."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from k1_deploy.saga.entries import logged
from services.deploy.tests.theatre import Theatre, open_theatre, until
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

GUARD_S = 2.0
CLOSE_S = 0.15
"""Two processes share two cores with everything else: half a frame would be the aim on a quiet machine."""


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    environment = migrated.environment | {"K1_DEPLOY_GUARD_SECONDS": str(GUARD_S)}
    with running_service("deploy", environment, tmp_path_factory.mktemp("deploy")) as service:
        yield service


@pytest.mark.usefixtures("service")
async def test_at_a_clock_time(theatre: Theatre) -> None:
    """All change at the given moment, by clocks that know nothing of each other."""
    devices = await theatre.add_devices(4)
    at = datetime.now(UTC) + timedelta(seconds=7)
    deployment = await theatre.order(devices, activation={"when": "time", "at": at})
    view = await theatre.until_status(deployment, "succeeded")
    assert [device.activated_at[0] for device in devices] == pytest.approx([at.timestamp()] * 4, abs=CLOSE_S)
    errors = [step.error_ms for device in view.devices for step in device.steps if step.step == "activate"]
    assert all(error is not None and abs(error) < CLOSE_S * 1000 for error in errors)


@pytest.mark.usefixtures("service")
async def test_on_the_next_downbeat(theatre: Theatre) -> None:
    """Of the song that plays, by its map."""
    devices = await theatre.add_devices(3)
    theatre.downbeats_ms = [2000.0 * bar for bar in range(1000)]
    started_at = logged(datetime.now(UTC) - timedelta(seconds=30))
    song = {"track_id": theatre.old.bundle.track_id, "version": 1, "started_at": started_at}
    deployment = await theatre.order(devices, activation={"when": "downbeat", **song})
    await theatre.until_status(deployment, "succeeded")
    for device in devices:
        bars = (device.activated_at[0] - started_at.timestamp()) / 2.0
        assert bars == pytest.approx(round(bars), abs=CLOSE_S / 2)


@pytest.mark.usefixtures("service")
async def test_after_the_last_downbeat_nothing_is_activated(theatre: Theatre) -> None:
    """The deployment fails and says what to do."""
    devices = await theatre.add_devices(2)
    theatre.downbeats_ms = [0.0, 2000.0]
    started_at = datetime.now(UTC) - timedelta(seconds=30)
    song = {"track_id": theatre.old.bundle.track_id, "version": 1, "started_at": started_at}
    view = await theatre.until_status(
        await theatre.order(devices, activation={"when": "downbeat", **song}), "failed"
    )
    assert theatre.all_run(devices, theatre.old)
    assert view.reason
    assert "its last downbeat at 2.0 s; start it again" in view.reason


@pytest.mark.usefixtures("service")
async def test_after_the_guard_the_old_bundle_goes_and_can_come_back(theatre: Theatre) -> None:
    """It is kept on the device as long as the guard lasts; a rollback later sends it again."""
    [device] = await theatre.add_devices(1)
    theatre.old, theatre.new = theatre.new, theatre.old
    await theatre.until_status(await theatre.order([device]), "succeeded")  # the old bundle is known by now
    theatre.old, theatre.new = theatre.new, theatre.old
    deployment = await theatre.order([device])
    await theatre.until_status(deployment, "succeeded")
    assert theatre.old.bundle.sha256 in device.staged

    async def discarded() -> bool:
        return not device.staged

    await until(discarded, "the guard is over and nothing is left over")
    assert theatre.all_run([device], theatre.new)
    await theatre.control(deployment, "rollback")
    await theatre.until_status(deployment, "rolled_back")
    assert theatre.all_run([device], theatre.old)
    assert await theatre.expected(device) == theatre.old.bundle.sha256


@pytest.mark.usefixtures("service")
async def test_the_same_bundle_again(theatre: Theatre) -> None:
    """Nothing changes on the devices, and that is a success."""
    devices = await theatre.add_devices(2)
    await theatre.until_status(await theatre.order(devices), "succeeded")
    view = await theatre.until_status(await theatre.order(devices), "succeeded")
    assert [len(device.activated_at) for device in devices] == [1, 1]
    await theatre.control(view.id, "rollback")
    await theatre.until_status(view.id, "rolled_back")
    assert theatre.all_run(devices, theatre.new)
