"""Whole deployments: the service as a process, real servers, devices that keep the link's protocol."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from k1_contracts.envelope import Envelope
from k1_platform.nats.rpc import QueryError
from services.deploy.tests.links import settle
from services.deploy.tests.theatre import PATIENCE_S, Theatre, open_theatre, running, until
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One process for all of these tests, which keeps what it drives when it stalls; each has devices of its own."""
    environment = migrated.environment | {"K1_DEPLOY_LEASE_SECONDS": "60"}
    with running_service("deploy", environment, tmp_path_factory.mktemp("deploy")) as service:
        yield service


@pytest.mark.usefixtures("service")
async def test_success(theatre: Theatre) -> None:
    """Every device was to run the new bundle from one moment on, runs it, and is expected to from now on."""
    devices = await theatre.add_devices(10)
    view = await theatre.until_status(await theatre.order(devices), "succeeded")
    moments = await theatre.moments(view.id)
    assert (len(moments), len(set(moments))) == (10, 1)
    assert theatre.all_run(devices, theatre.new)
    assert view.counts == {"committed": 10}
    assert {await theatre.expected(device) for device in devices} == {theatre.new.bundle.sha256}
    steps = ["check", "stage", "activate", "verify", "observe", "commit"]
    assert [[step.step for step in device.steps] for device in view.devices] == [steps] * 10


@pytest.mark.usefixtures("service")
async def test_the_world_is_told(theatre: Theatre) -> None:
    """Each status as a fact, the end with every device's outcome; each step of each device live."""
    facts = await theatre.client.subscribe("deploy.*")
    live = await theatre.client.subscribe("live.deploy.*")
    devices = await theatre.add_devices(2)
    deployment = await theatre.order(devices)
    await theatre.until_status(deployment, "succeeded")
    told: list[str] = []
    known: set[str] = set()
    while "deploy.succeeded" not in told:
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
            told.append(body["status"] if message.subject == "deploy.progressed" else message.subject)
    statuses = ["checking", "staging", "activating", "observing", "committing", "succeeded"]
    assert told == [*statuses, "deploy.succeeded"]
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
async def test_a_refusal_before_the_activation_changes_nothing(theatre: Theatre) -> None:
    """One device cannot stage: what the others staged is discarded, and nothing was ever activated."""
    devices = await theatre.add_devices(5)
    devices[3].faults.add("refuse_stage")
    view = await theatre.until_status(await theatre.order(devices), "failed")
    assert theatre.all_run(devices, theatre.old)
    assert not any(verb == "activate" for device in devices for verb, _ in device.commands)
    assert (
        view.reason
        == f"1 of 5 devices failed and none may; {devices[3].id}: stage failed (no_space: the flash is full)"
    )
    assert not any(device.staged for device in devices)
    assert view.counts == {"discarded": 5}


@pytest.mark.usefixtures("service")
async def test_a_new_key_comes_before_its_bundle(theatre: Theatre) -> None:
    """The key was made while the devices were connected, so that no hello could show that they lack it."""
    devices = await theatre.add_devices(2)
    await theatre.until_hellos_are_done()
    new_key, info = "1" * 16, theatre.new
    manifest = info.manifest.model_copy(update={"key_id": new_key})
    theatre.known[info.bundle.track_id, info.bundle.version] = info.model_copy(update={"manifest": manifest})
    theatre.key_ids = [new_key, *theatre.key_ids]
    for device in devices:
        device.needs_key = new_key
    await theatre.until_status(await theatre.order(devices), "succeeded")
    assert [device.key_ids for device in devices] == [theatre.key_ids] * 2
    for device in devices:
        verbs = dict.fromkeys(
            verb for verb, _ in device.commands
        )  # an answer that came late was asked for again
        assert list(verbs)[:3] == ["info", "trust", "stage"]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("fault", ["activate_error", "crash_old", "lie", "ignore_activate"])
async def test_a_failure_at_the_activation_takes_all_back(theatre: Theatre, fault: str) -> None:
    """Whatever goes wrong on one device, every device that is there runs what it ran before."""
    devices = await theatre.add_devices(5)
    devices[2].faults.add(fault)
    theatre.lead_s = 12.0  # as long as it is waited for a device that says nothing
    deployment = await theatre.order(devices)
    if fault == "crash_old":
        view = await theatre.until_counts(deployment, rolled_back=4, rollback_pending=1)
    else:
        view = await theatre.until_status(deployment, "rolled_back")
    assert theatre.all_run(devices, theatre.old)
    assert {await theatre.expected(device) for device in devices} == {theatre.old.bundle.sha256}
    assert view.reason
    assert devices[2].id in view.reason
    if fault == "crash_old":
        await theatre.until_status(deployment, "rollback_pending")
        devices[2].faults.clear()
        await devices[2].connect()
        view = await theatre.until_status(view.id, "rolled_back")
    assert view.counts == {"rolled_back": 5}


@pytest.mark.usefixtures("service")
async def test_a_device_out_of_reach_is_put_right_when_it_says_hello(theatre: Theatre) -> None:
    """It comes back with the new bundle; the deployment says rollback_pending until then."""
    devices = await theatre.add_devices(4)
    devices[0].faults.add("crash_new")
    theatre.lead_s = 12.0  # as long as it is waited for a device that says nothing
    deployment = await theatre.order(devices)
    await theatre.until_status(deployment, "rollback_pending")
    await theatre.until_counts(deployment, rolled_back=3, rollback_pending=1)
    assert devices[0].runs(theatre.new.bundle.sha256)
    assert theatre.all_run(devices[1:], theatre.old)
    devices[0].faults.clear()
    await devices[0].connect()
    view = await theatre.until_status(deployment, "rolled_back")
    assert theatre.all_run(devices, theatre.old)
    assert view.counts == {"rolled_back": 4}


@pytest.mark.usefixtures("service")
async def test_a_few_failures_are_taken_back_alone(theatre: Theatre) -> None:
    """Within max_failures the others go on."""
    devices = await theatre.add_devices(6)
    devices[1].faults.add("refuse_stage")
    devices[4].faults.add("activate_error")
    order = {"strategy": {"max_failures": "50%", "observe_seconds": 0.2}}
    view = await theatre.until_status(await theatre.order(devices, **order), "succeeded")
    failed = [devices[1], devices[4]]
    assert theatre.all_run([each for each in devices if each not in failed], theatre.new)
    assert theatre.all_run(failed, theatre.old)
    assert view.counts == {"committed": 4, "discarded": 1, "rolled_back": 1}
    assert {await theatre.expected(device) for device in failed} == {theatre.old.bundle.sha256}


@pytest.mark.usefixtures("service")
async def test_the_canary_goes_first(theatre: Theatre) -> None:
    """Batches follow each other, and a failing canary is the only device that ever changed."""
    devices = await theatre.add_devices(5)
    strategy = {"canary": 1, "batch_size": 2, "observe_seconds": 0.2}
    view = await theatre.until_status(await theatre.order(devices, strategy=strategy), "succeeded")
    assert [device.batch for device in view.devices] == [1, 2, 2, 3, 3]
    moments = [device.activated_at[0] for device in devices]
    assert moments[0] < min(moments[1:3])
    assert max(moments[1:3]) < min(moments[3:])
    theatre.old, theatre.new = theatre.new, theatre.old
    devices[0].faults.add("activate_error")
    view = await theatre.until_status(await theatre.order(devices, strategy=strategy), "rolled_back")
    assert theatre.all_run(devices, theatre.old)
    assert [len(device.activated_at) for device in devices] == [1] * 5


@pytest.mark.usefixtures("service")
async def test_what_cannot_be_carried_out_fails_with_a_reason(theatre: Theatre) -> None:
    """Unknown devices, no such bundle, a gate: an ended deployment that says why."""
    [device] = await theatre.add_devices(1)
    unknown = await theatre.until_status(await theatre.order([device], device_ids=["nobody"]), "failed")
    assert unknown.reason
    assert "nobody" in unknown.reason
    gone = await theatre.until_status(await theatre.order([device], version=7), "failed")
    assert gone.reason
    assert "There is no track" in gone.reason
    await device.disconnect()
    offline = await theatre.until_status(await theatre.order([device]), "failed")
    assert offline.reason
    assert "not connected" in offline.reason
    assert offline.counts == {"blocked": 1}


@pytest.mark.usefixtures("service")
async def test_pause_resume_and_cancel(theatre: Theatre) -> None:
    """Paused, nothing new begins; resumed it goes on; cancelled before the activation all is discarded."""
    devices = await theatre.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    deployment = await theatre.order(devices)
    await theatre.until_status(deployment, "staging")
    await theatre.control(deployment, "pause")
    await theatre.until_paused(deployment, paused=True)
    for device in devices:
        device.let_stage.set()
    await theatre.until_counts(deployment, staged=3)
    assert await theatre.status(deployment) == "staging"
    await theatre.control(deployment, "resume")
    await theatre.until_paused(deployment, paused=False)
    view = await theatre.until_status(deployment, "succeeded")
    assert [line.action for line in view.audit] == ["requested", "pause", "resume"]
    theatre.old, theatre.new = theatre.new, theatre.old
    for device in devices:
        device.let_stage.clear()
    deployment = await theatre.order(devices)
    await theatre.until_status(deployment, "staging")
    await theatre.control(deployment, "cancel")
    view = await theatre.until_status(deployment, "cancelled")
    assert theatre.all_run(devices, theatre.old)
    assert view.reason == "cancelled by anna"


@pytest.mark.usefixtures("service")
async def test_a_bundle_that_is_still_on_its_way_is_not_left_behind(theatre: Theatre) -> None:
    """A device would not discard it while it came: it is told again once that is of use, and holds nothing."""
    devices = await theatre.add_devices(2)
    for device in devices:
        device.faults |= {"slow_stage", "refuse_discard"}
    deployment = await theatre.order(devices)

    async def on_their_way() -> bool:
        return all(device.hello().fetching == theatre.new.bundle.sha256 for device in devices)

    async def nothing_comes() -> bool:
        return not any(device.hello().fetching for device in devices)

    await until(on_their_way, "both fetch the bundle")
    await theatre.control(deployment, "cancel")
    await theatre.until_status(deployment, "cancelled")
    for device in devices:
        device.faults.discard("refuse_discard")
        await device.say_hello()
    await until(nothing_comes, "the transfers are ended")
    assert not any(device.staged for device in devices)
    assert theatre.all_run(devices, theatre.old)


@pytest.mark.usefixtures("service")
async def test_two_deployments_to_one_device_follow_each_other(theatre: Theatre) -> None:
    """The later waits, says for whom, and begins when the first has ended."""
    devices = await theatre.add_devices(3)
    for device in devices:
        device.faults.add("slow_stage")
    first = await theatre.order(devices[:2])
    await theatre.until_status(first, "staging")
    second = await theatre.order(devices[1:])

    async def waits() -> bool:
        try:
            return (await theatre.get(second)).waits_for == [first]
        except QueryError:  # it was not opened yet
            return False

    await until(waits, "the second waits for the first")
    for device in devices:
        device.let_stage.set()
    await theatre.until_status(first, "succeeded")
    await theatre.until_status(second, "succeeded")


@pytest.mark.usefixtures("service")
async def test_drift_under_the_guard_rolls_one_device_back(theatre: Theatre) -> None:
    """The deployment stays a success; the feed of the track tells of it; the others keep the new bundle."""
    devices = await theatre.add_devices(3)
    view = await theatre.until_status(await theatre.order(devices), "succeeded")
    feed = await theatre.client.subscribe(f"live.track.{view.track_id}")
    await settle(theatre.client)
    await theatre.alarm(devices[1])
    message = await feed.next_msg(timeout=PATIENCE_S)
    assert b'"event":"auto_rollback"' in message.data
    assert b"drift_ms > 100 for 5s" in message.data

    async def back() -> bool:
        return theatre.all_run([devices[1]], theatre.old)

    await until(back, "the drifting device is back")
    await theatre.until_counts(view.id, committed=2, rolled_back=1)
    assert await theatre.status(view.id) == "succeeded"
    assert theatre.all_run([devices[0], devices[2]], theatre.new)
    assert await theatre.expected(devices[1]) == theatre.old.bundle.sha256


@pytest.mark.usefixtures("service")
async def test_an_alarm_during_observation_takes_all_back(theatre: Theatre) -> None:
    """Beyond max_failures one sick device is enough."""
    devices = await theatre.add_devices(3)
    deployment = await theatre.order(devices, strategy={"observe_seconds": 600})
    await theatre.until_status(deployment, "observing")
    await theatre.alarm(devices[0], "temperature", reason="temp_c > 80")
    view = await theatre.until_status(deployment, "rolled_back")
    assert theatre.all_run(devices, theatre.old)
    assert view.reason
    assert "temp_c > 80" in view.reason


@pytest.mark.usefixtures("service")
async def test_a_device_that_restarts_with_the_old_bundle_counts_as_failed(theatre: Theatre) -> None:
    """While it is observed: nobody heard an alarm, but its hello says what it runs."""
    devices = await theatre.add_devices(3)
    strategy = {"observe_seconds": 600, "max_failures": 1}
    deployment = await theatre.order(devices, strategy=strategy)
    await theatre.until_status(deployment, "observing")
    await devices[1].disconnect()
    new = running(theatre.new)
    devices[1].active, devices[1].staged = running(theatre.old), {new.bundle_sha256: new}
    await devices[1].connect()
    await theatre.until_counts(deployment, active=2, rolled_back=1)
    await theatre.control(deployment, "rollback")
    await theatre.until_status(deployment, "rolled_back")


@pytest.mark.usefixtures("service")
async def test_a_rollback_by_hand_after_the_success(theatre: Theatre) -> None:
    """Also on a device that lost the old bundle: it is sent again."""
    devices = await theatre.add_devices(3)
    [first] = await theatre.add_devices(1)
    theatre.old, theatre.new = theatre.new, theatre.old
    await theatre.until_status(await theatre.order([first]), "succeeded")  # the old bundle is known by now
    theatre.old, theatre.new = theatre.new, theatre.old
    deployment = await theatre.order(devices)
    await theatre.until_status(deployment, "succeeded")
    devices[2].staged.clear()
    await theatre.control(deployment, "rollback")
    view = await theatre.until_status(deployment, "rolled_back")
    assert theatre.all_run(devices, theatre.old)
    assert {await theatre.expected(device) for device in devices} == {theatre.old.bundle.sha256}
    assert view.reason == "rolled back by anna"
