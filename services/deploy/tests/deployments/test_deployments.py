"""Whole deployments: the service as a process, real servers, fake devices that implement the link."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from k1_contracts.actors import Actor
from k1_contracts.envelope import Envelope
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from services.deploy.tests.deployments.deployment_harness import (
    DeploymentHarness,
    open_harness,
    running,
)
from services.deploy.tests.deployments.fake_devices import Fault
from tests.support.bus import flush
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually


@pytest.fixture
async def harness(migrated: Infrastructure) -> AsyncIterator[DeploymentHarness]:
    async with open_harness() as harness:
        yield harness


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One process for all of these tests, with a long lease; each test has its devices."""
    environment = migrated.environment | {"K1_DEPLOY_LEASE_SECONDS": "60"}
    with running_service("deploy", environment, tmp_path_factory.mktemp("deploy")) as service:
        yield service


@pytest.mark.usefixtures("service")
async def test_success(harness: DeploymentHarness) -> None:
    """Every device was to run the new bundle from one moment on, runs it, and is expected to run it."""
    devices = await harness.add_devices(10)
    view = await harness.until_status(await harness.order(devices), "succeeded")
    moments = await harness.moments(view.id)
    assert (len(moments), len(set(moments))) == (10, 1)
    assert harness.all_run(devices, harness.new)
    assert view.counts == {"committed": 10}
    assert {await harness.expected(device) for device in devices} == {harness.new.bundle.sha256}
    steps = ["check", "stage", "activate", "verify", "observe", "commit"]
    assert [[step.step for step in device.steps] for device in view.devices] == [steps] * 10


@pytest.mark.usefixtures("service")
async def test_events_and_live_messages_are_published(harness: DeploymentHarness) -> None:
    """Each status is an event, the end has every device's outcome; each step of each device is live."""
    facts = await harness.client.subscribe("deploy.*")
    live = await harness.client.subscribe("live.deploy.*")
    devices = await harness.add_devices(2)
    deployment = await harness.order(devices)
    await harness.until_status(deployment, "succeeded")
    seen: list[str] = []
    known: set[str] = set()
    while "deploy.succeeded" not in seen:
        message = await facts.next_msg(timeout=PATIENCE_S)
        body = json.loads(message.data)
        # Where the broker is slow to confirm, a fact is published again, with its id.
        fact = Envelope.from_headers(message.headers or {}).id
        if (
            body["deployment_id"] == deployment
            and message.subject != "deploy.requested"
            and fact not in known
        ):
            known.add(fact)
            seen.append(body["status"] if message.subject == "deploy.progressed" else message.subject)
    statuses = ["checking", "staging", "activating", "observing", "committing", "succeeded"]
    assert seen == [*statuses, "deploy.succeeded"]
    assert {each["outcome"] for each in body["devices"]} == {"committed"}
    steps: Counter[tuple[str, str]] = Counter()
    while steps["verify", "done"] != 2:
        change = json.loads((await live.next_msg(timeout=PATIENCE_S)).data)
        if change["deployment_id"] == deployment and "step" in change:
            steps[change["step"]["step"], change["step"]["status"]] += 1
    assert {
        (step, status): 2
        for step in ("check", "stage", "activate", "verify")
        for status in ("running", "done")
    } == steps


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
async def test_a_new_key_comes_before_its_bundle(harness: DeploymentHarness) -> None:
    """The key was made while the devices were connected, so no hello could show that they lack it."""
    devices = await harness.add_devices(2)
    await harness.until_hellos_are_done()
    new_key, info = "1" * 16, harness.new
    manifest = info.manifest.model_copy(update={"key_id": new_key})
    harness.known[info.bundle.track_id, info.bundle.version] = info.model_copy(update={"manifest": manifest})
    harness.key_ids = [new_key, *harness.key_ids]
    for device in devices:
        device.needs_key = new_key
    await harness.until_status(await harness.order(devices), "succeeded")
    assert [device.key_ids for device in devices] == [harness.key_ids] * 2
    for device in devices:
        verbs = dict.fromkeys(
            verb for verb, _ in device.commands
        )  # an answer that came late was asked for again
        assert list(verbs)[:3] == ["info", "trust", "stage"]


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
async def test_the_canary_goes_first(harness: DeploymentHarness) -> None:
    """Batches follow each other, and a failing canary is the only device that ever activated."""
    devices = await harness.add_devices(5)
    strategy = {"canary": 1, "batch_size": 2, "observe_seconds": 0.2}
    view = await harness.until_status(await harness.order(devices, strategy=strategy), "succeeded")
    assert [device.batch for device in view.devices] == [1, 2, 2, 3, 3]
    moments = [device.activated_at[0] for device in devices]
    assert moments[0] < min(moments[1:3])
    assert max(moments[1:3]) < min(moments[3:])
    harness.old, harness.new = harness.new, harness.old
    devices[0].faults.add("activate_error")
    view = await harness.until_status(await harness.order(devices, strategy=strategy), "rolled_back")
    assert harness.all_run(devices, harness.old)
    assert [len(device.activated_at) for device in devices] == [1] * 5


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
async def test_two_deployments_to_one_device_follow_each_other(harness: DeploymentHarness) -> None:
    """The later waits, says for which, and begins when the first has ended."""
    devices = await harness.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    first = await harness.order(devices[:2])
    await harness.until_status(first, "staging")
    second = await harness.order(devices[1:])

    async def waits() -> bool:
        try:
            return (await harness.get(second)).waits_for == [first]
        except QueryError:  # it was not opened yet
            return False

    await eventually(waits, "the second waits for the first")
    for device in devices:
        device.let_stage.set()
    await harness.until_status(first, "succeeded")
    await harness.until_status(second, "succeeded")


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
