"""Rare cases: after the last downbeat, after the guard time, the same bundle again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import eventually

GUARD_S = 2.0


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    times = {"K1_DEPLOY_GUARD_SECONDS": str(GUARD_S), "K1_DEPLOY_LEASE_SECONDS": "60"}
    with running_service(
        "deploy", migrated.environment | times, tmp_path_factory.mktemp("deploy")
    ) as service:
        yield service


@pytest.mark.usefixtures("service")
async def test_after_the_last_downbeat_nothing_is_activated(harness: DeploymentHarness) -> None:
    """The deployment fails and says what to do."""
    devices = await harness.add_devices(2)
    harness.downbeats_ms = [0.0, 2000.0]
    started_at = datetime.now(UTC) - timedelta(seconds=30)
    song = {"track_id": harness.old.bundle.track_id, "version": 1, "started_at": started_at}
    view = await harness.until_status(
        await harness.order(devices, activation={"when": "downbeat", **song}), "failed"
    )
    assert harness.all_run(devices, harness.old)
    assert view.reason
    assert "its last downbeat at 2.0 s; start it again" in view.reason


@pytest.mark.usefixtures("service")
async def test_after_the_guard_the_old_bundle_is_discarded_and_can_be_staged_again(
    harness: DeploymentHarness,
) -> None:
    """It stays on the device during the guard time; a later rollback sends it again."""
    [device] = await harness.add_devices(1)
    harness.old, harness.new = harness.new, harness.old
    await harness.until_status(await harness.order([device]), "succeeded")  # the old bundle is known by now
    harness.old, harness.new = harness.new, harness.old
    deployment = await harness.order([device])
    view = await harness.until_status(deployment, "succeeded")

    async def discarded() -> bool:
        return not device.staged

    await eventually(discarded, "the guard is over and nothing is left over")
    [succeeded] = [line.at for line in view.log if line.text == "succeeded"]
    assert device.discarded_at[-1] >= succeeded.timestamp() + GUARD_S
    assert harness.all_run([device], harness.new)
    await harness.control(deployment, "rollback")
    await harness.until_status(deployment, "rolled_back")
    assert harness.all_run([device], harness.old)
    assert await harness.expected(device) == harness.old.bundle.sha256


@pytest.mark.usefixtures("service")
async def test_the_same_bundle_again(harness: DeploymentHarness) -> None:
    """Nothing changes on the devices, and that is a success."""
    devices = await harness.add_devices(2)
    await harness.until_status(await harness.order(devices), "succeeded")
    view = await harness.until_status(await harness.order(devices), "succeeded")
    assert [len(device.activated_at) for device in devices] == [1, 1]
    await harness.control(view.id, "rollback")
    await harness.until_status(view.id, "rolled_back")
    assert harness.all_run(devices, harness.new)
