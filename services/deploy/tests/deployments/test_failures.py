"""Devices that fail or raise an alarm during a deployment or its guard time, and deployments that cannot begin."""

import pytest

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness, running
from services.deploy.tests.deployments.fake_devices import Fault
from tests.support.bus import flush
from tests.support.waiting import PATIENCE_S, eventually


@pytest.mark.usefixtures("service")
async def test_a_failure_before_the_activation_changes_nothing(harness: DeploymentHarness) -> None:
    """One device cannot stage: what the others staged is discarded, and nothing was activated."""
    devices = await harness.add_devices(5)
    devices[3].faults.add("refuse_stage")
    view = await harness.until_status(await harness.order(devices), "failed")
    assert harness.all_run(devices, harness.old)
    assert not any(verb == "activate" for device in devices for verb, _ in device.commands)
    assert (
        view.reason
        == f"1 of 5 devices failed and none may; {devices[3].id}: stage failed (no_space: the flash is full)"
    )
    assert not any(device.staged for device in devices)
    assert view.counts == {"discarded": 5}


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("fault", ["activate_error", "crash_old", "lie", "ignore_activate"])
async def test_a_failure_at_the_activation_rolls_all_back(harness: DeploymentHarness, fault: Fault) -> None:
    """Whatever fails on one device, every connected device runs what it ran before."""
    devices = await harness.add_devices(5)
    devices[2].faults.add(fault)
    harness.lead_s = 12.0  # as long as it is waited for a device that says nothing
    deployment = await harness.order(devices)
    if fault == "crash_old":
        view = await harness.until_counts(deployment, rolled_back=4, rollback_pending=1)
    else:
        view = await harness.until_status(deployment, "rolled_back")
    assert harness.all_run(devices, harness.old)
    assert {await harness.expected(device) for device in devices} == {harness.old.bundle.sha256}
    assert view.reason
    assert devices[2].id in view.reason
    if fault == "crash_old":
        await harness.until_status(deployment, "rollback_pending")
        devices[2].faults.clear()
        await devices[2].connect()
        view = await harness.until_status(view.id, "rolled_back")
    assert view.counts == {"rolled_back": 5}


@pytest.mark.usefixtures("service")
async def test_an_unreachable_device_is_reconciled_at_its_hello(harness: DeploymentHarness) -> None:
    """It reconnects with the new bundle; the deployment is rollback_pending until then."""
    devices = await harness.add_devices(4)
    devices[0].faults.add("crash_new")
    harness.lead_s = 12.0  # as long as it is waited for a device that says nothing
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "rollback_pending")
    await harness.until_counts(deployment, rolled_back=3, rollback_pending=1)
    assert devices[0].runs(harness.new.bundle.sha256)
    assert harness.all_run(devices[1:], harness.old)
    devices[0].faults.clear()
    await devices[0].connect()
    view = await harness.until_status(deployment, "rolled_back")
    assert harness.all_run(devices, harness.old)
    assert view.counts == {"rolled_back": 4}


@pytest.mark.usefixtures("service")
async def test_a_few_failures_are_rolled_back_alone(harness: DeploymentHarness) -> None:
    """Within max_failures the others continue."""
    devices = await harness.add_devices(6)
    devices[1].faults.add("refuse_stage")
    devices[4].faults.add("activate_error")
    order = {"strategy": {"max_failures": "50%", "observe_seconds": 0.2}}
    view = await harness.until_status(await harness.order(devices, **order), "succeeded")
    failed = [devices[1], devices[4]]
    assert harness.all_run([each for each in devices if each not in failed], harness.new)
    assert harness.all_run(failed, harness.old)
    assert view.counts == {"committed": 4, "discarded": 1, "rolled_back": 1}
    assert {await harness.expected(device) for device in failed} == {harness.old.bundle.sha256}


@pytest.mark.usefixtures("service")
async def test_what_cannot_be_carried_out_fails_with_a_reason(harness: DeploymentHarness) -> None:
    """Unknown devices, no such bundle, a gate: the deployment ends and says why."""
    [device] = await harness.add_devices(1)
    unknown = await harness.until_status(await harness.order([device], device_ids=["nobody"]), "failed")
    assert unknown.reason
    assert "nobody" in unknown.reason
    gone = await harness.until_status(await harness.order([device], version=7), "failed")
    assert gone.reason
    assert "There is no track" in gone.reason
    await device.disconnect()
    offline = await harness.until_status(await harness.order([device]), "failed")
    assert offline.reason
    assert "not connected" in offline.reason
    assert offline.counts == {"blocked": 1}


@pytest.mark.usefixtures("service")
async def test_drift_under_the_guard_rolls_one_device_back(harness: DeploymentHarness) -> None:
    """The deployment stays a success; the live feed of the track reports it; the others keep the new bundle."""
    devices = await harness.add_devices(3)
    view = await harness.until_status(await harness.order(devices), "succeeded")
    feed = await harness.client.subscribe(f"live.track.{view.track_id}")
    await flush(harness.client)
    await harness.alarm(devices[1])
    message = await feed.next_msg(timeout=PATIENCE_S)
    assert b'"event":"auto_rollback"' in message.data
    assert b"drift_ms > 100 for 5s" in message.data

    async def back() -> bool:
        return harness.all_run([devices[1]], harness.old)

    await eventually(back, "the drifting device is back")
    await harness.until_counts(view.id, committed=2, rolled_back=1)
    assert await harness.status(view.id) == "succeeded"
    assert harness.all_run([devices[0], devices[2]], harness.new)
    assert await harness.expected(devices[1]) == harness.old.bundle.sha256


@pytest.mark.usefixtures("service")
async def test_an_alarm_during_observation_rolls_all_back(harness: DeploymentHarness) -> None:
    """Beyond max_failures one device with an alarm is enough."""
    devices = await harness.add_devices(3)
    deployment = await harness.order(devices, strategy={"observe_seconds": 600})
    await harness.until_status(deployment, "observing")
    await harness.alarm(devices[0], "temperature", reason="temp_c > 80")
    view = await harness.until_status(deployment, "rolled_back")
    assert harness.all_run(devices, harness.old)
    assert view.reason
    assert "temp_c > 80" in view.reason


@pytest.mark.usefixtures("service")
async def test_a_device_that_restarts_with_the_old_bundle_counts_as_failed(
    harness: DeploymentHarness,
) -> None:
    """During the observation: there was no alarm, but its hello says what it runs."""
    devices = await harness.add_devices(3)
    strategy = {"observe_seconds": 600, "max_failures": 1}
    deployment = await harness.order(devices, strategy=strategy)
    await harness.until_status(deployment, "observing")
    await devices[1].disconnect()
    new = running(harness.new)
    devices[1].active, devices[1].staged = running(harness.old), {new.bundle_sha256: new}
    await devices[1].connect()
    await harness.until_counts(deployment, active=2, rolled_back=1)
    await harness.control(deployment, "rollback")
    await harness.until_status(deployment, "rolled_back")
