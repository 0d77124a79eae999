"""Whole deployments that succeed: the service as a process, real servers, fake devices that implement the link."""

import json
from collections import Counter

import pytest

from k1_contracts.envelope import Envelope
from k1_platform.nats.queries.rpc import QueryError
from services.deploy.tests.deployments.deployment_harness import DeploymentHarness
from tests.support.waiting import PATIENCE_S, eventually


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
