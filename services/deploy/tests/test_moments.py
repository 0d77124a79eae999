"""When things happen: after the last downbeat, after the guard, a second time."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.deploy.tests.theatre import Theatre, open_theatre, until
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

GUARD_S = 2.0


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    times = {"K1_DEPLOY_GUARD_SECONDS": str(GUARD_S), "K1_DEPLOY_LEASE_SECONDS": "60"}
    with running_service(
        "deploy", migrated.environment | times, tmp_path_factory.mktemp("deploy")
    ) as service:
        yield service


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
    view = await theatre.until_status(deployment, "succeeded")

    async def discarded() -> bool:
        return not device.staged

    await until(discarded, "the guard is over and nothing is left over")
    [succeeded] = [line.at for line in view.log if line.text == "succeeded"]
    assert device.discarded_at[-1] >= succeeded.timestamp() + GUARD_S
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
