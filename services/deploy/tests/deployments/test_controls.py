"""What people do during a deployment and after it: pause, resume, cancel, roll back."""

import pytest

from k1_contracts.actors import Actor
from k1_platform.nats.actors import acting_as
from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from tests.support.waiting import eventually


@pytest.mark.usefixtures("service")
async def test_pause_resume_and_cancel(harness: DeploymentHarness) -> None:
    """Paused, nothing new begins; resumed, it continues; cancelled before the activation, all is discarded."""
    devices = await harness.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "staging")
    await harness.control(deployment, "pause")
    await harness.until_paused(deployment, paused=True)
    for device in devices:
        device.let_stage.set()
    await harness.until_counts(deployment, staged=3)
    assert await harness.status(deployment) == "staging"
    bob = Actor(kind="key", id="usr_b", name="Bob", role="operator", address="192.0.2.7")
    with acting_as(bob):
        await harness.control(deployment, "resume")
    await harness.until_paused(deployment, paused=False)
    view = await harness.until_status(deployment, "succeeded")
    audit = [(line.action, line.actor, line.actor_kind, line.actor_id) for line in view.audit]
    assert audit == [
        ("requested", "anna", "local", "anna"),
        ("pause", "anna", "local", "anna"),
        ("resume", "Bob", "key", "usr_b"),
    ], "without sign-in the stated name counts, with it that of the actor"
    rows = await harness.pool.fetch("SELECT address FROM deploy.audit WHERE deployment_id = $1", deployment)
    assert [row["address"] for row in rows] == [None, None, "192.0.2.7"]
    harness.old, harness.new = harness.new, harness.old
    for device in devices:
        device.let_stage.clear()
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "staging")
    await harness.control(deployment, "cancel")
    view = await harness.until_status(deployment, "cancelled")
    assert harness.all_run(devices, harness.old)
    assert view.reason == "cancelled by anna"


@pytest.mark.usefixtures("service")
async def test_a_bundle_in_transfer_is_discarded_later(harness: DeploymentHarness) -> None:
    """The device rejects the discard during the transfer: the discard is repeated later, and nothing stays on it."""
    devices = await harness.add_devices(2)
    for device in devices:
        device.faults |= {"slow_stage", "refuse_discard"}
    deployment = await harness.order(devices)

    async def on_their_way() -> bool:
        return all(device.hello().fetching == harness.new.bundle.sha256 for device in devices)

    async def nothing_comes() -> bool:
        return not any(device.hello().fetching for device in devices)

    await eventually(on_their_way, "both fetch the bundle")
    await harness.control(deployment, "cancel")
    await harness.until_status(deployment, "cancelled")
    for device in devices:
        device.faults.discard("refuse_discard")
        await device.say_hello()
    await eventually(nothing_comes, "the transfers are ended")
    assert not any(device.staged for device in devices)
    assert harness.all_run(devices, harness.old)


@pytest.mark.usefixtures("service")
async def test_a_rollback_by_hand_after_the_success(harness: DeploymentHarness) -> None:
    """Also on a device that lost the old bundle: it is sent again."""
    devices = await harness.add_devices(3)
    [first] = await harness.add_devices(1)
    harness.old, harness.new = harness.new, harness.old
    await harness.until_status(await harness.order([first]), "succeeded")  # the old bundle is known by now
    harness.old, harness.new = harness.new, harness.old
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "succeeded")
    devices[2].staged.clear()
    await harness.control(deployment, "rollback")
    view = await harness.until_status(deployment, "rolled_back")
    assert harness.all_run(devices, harness.old)
    assert {await harness.expected(device) for device in devices} == {harness.old.bundle.sha256}
    assert view.reason == "rolled back by anna"
