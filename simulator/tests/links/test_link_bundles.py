"""Tests staging and activating shows over a real server."""

import asyncio
from typing import Any

import pytest
from nats.aio.client import Client

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import ChunkHeader, FetchChunk, Transport
from k1_simulator.profile import Profile
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet, stage_fields
from simulator.tests.link_support import active, both, name
from simulator.tests.shows import bundle
from tests.support.waiting import PATIENCE_S

NOWHERE = "http://127.0.0.1:9/nothing"


@pytest.fixture
def patient_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for a response to `fetch`, because the machine may be busy."""
    for module in ("k1_simulator.links.nats_link", "k1_simulator.links.mqtt_link"):
        monkeypatch.setattr(f"{module}.CHUNK_TIMEOUT_S", PATIENCE_S)


@both
async def test_a_show_is_staged_activated_and_deactivated(
    transport: Transport,
    make_fleet: MakeFleet,
    commander: Commander,
    store: Any,
    unique: str,
) -> None:
    """It comes from the store by HTTP Range, starts at a time of the device's clock, and the earlier show returns."""
    device, show = name(unique), bundle(1).sha256
    async with make_fleet([device], transport, factory=True) as fleet:
        before = active(fleet.state(device))
        staged = await commander.call(device, "stage", "s", **await store(1, chunk_size=1000))
        assert (staged.status, staged.code, staged.message) == ("done", None, None)
        assert staged.hello is not None
        assert staged.hello.staged == [show]
        now_ms, earliest_s, latest_s = await commander.device_time(device)
        await commander.send(device, "activate", "a", bundle_sha256=show, at_ms=now_ms + 300)
        assert (await commander.answer("a", "accepted")).hello is None
        done = await commander.answer("a")
        (activation,) = fleet.activations()
        assert done.at_ms == activation.at_ms >= now_ms + 300 - 0.1
        since_s = (activation.at_ms - now_ms) / 1000  # by a clock that is good to 20 millionths
        assert earliest_s + since_s * 0.9999 <= activation.monotonic_s <= latest_s + since_s * 1.0001
        assert active(fleet.state(device)) == show
        back = await commander.call(device, "deactivate", "d", restore=before, bundle_sha256=show)
        assert back.status == "done"
        assert (active(fleet.state(device)), fleet.state(device).staged) == (before, (show,))
        assert (await commander.call(device, "discard", "x", bundle_sha256=show)).status == "done"
        assert fleet.state(device).staged == ()


@both
@pytest.mark.usefixtures("patient_link")
async def test_a_bundle_comes_over_the_link_if_http_fails(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, nats_client: Client, unique: str
) -> None:
    """It comes in chunks from the responder of `fetch`, here after some lost and some wrong responses."""
    device, data = name(unique), bundle(1).data
    asked: list[int] = []

    async def give(message: Any) -> None:
        request = FetchChunk.model_validate_json(message.data)
        asked.append(request.offset)
        part = data[request.offset : request.offset + request.length]
        header = ChunkHeader(
            request_id=request.request_id,
            bundle_sha256=request.bundle_sha256,
            offset=request.offset,
            length=len(part),
        )
        if len(asked) == 2:
            header = header.model_copy(update={"offset": request.offset + 1})
        if len(asked) == 3:
            header, part = header.model_copy(update={"error": "the store is away", "length": 0}), b""
        subject = message.reply or subjects.command(device, "chunk")
        await nats_client.publish(subject, header.to_json() + b"\n" + part)

    await nats_client.subscribe(subjects.device(device, "fetch"), cb=give)
    async with make_fleet([device], transport):
        staged = await commander.call(device, "stage", "s", **stage_fields(1, NOWHERE, chunk_size=8192))
    assert (staged.status, staged.message) == ("done", None)
    assert asked == [0, 8192, 8192, *range(8192, len(data), 8192)]


@both
@pytest.mark.usefixtures("patient_link")
async def test_an_unavailable_bundle_fails_with_both_reasons(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, nats_client: Client, unique: str
) -> None:
    """If HTTP and the link fail, the reply is `fetch_failed` with both errors."""
    device = name(unique)

    async def refuse(message: Any) -> None:
        request = FetchChunk.model_validate_json(message.data)
        header = ChunkHeader(**request.model_dump(exclude={"length"}), length=0, error="no such bundle")
        await nats_client.publish(
            message.reply or subjects.command(device, "chunk"), header.to_json() + b"\n"
        )

    await nats_client.subscribe(subjects.device(device, "fetch"), cb=refuse)
    async with make_fleet([device], transport):
        failed = await commander.call(device, "stage", "s", **stage_fields(1, NOWHERE))
    assert (failed.status, failed.code) == ("failed", "fetch_failed")
    assert "HTTP: " in (failed.message or "")
    assert "link: no such bundle" in (failed.message or "")


@both
async def test_a_restart_keeps_bundles_fence_and_replies(
    transport: Transport, make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """A command that is repeated after it has no second effect and the same reply."""
    device, show = name(unique), bundle(1).sha256
    async with make_fleet([device], transport, factory=True) as fleet:
        await commander.call(device, "stage", "s", **await store(1), fence=5)
        first = await commander.call(device, "activate", "a", bundle_sha256=show, fence=5)
        held = fleet.state(device)
        await fleet.restart(device)
        assert fleet.state(device) == held
        again = await commander.call(device, "activate", "a", bundle_sha256=show, fence=5)
        assert again == first
        assert len(fleet.activations()) == 1
        stale = await commander.call(device, "discard", "d", bundle_sha256=show, fence=4)
        assert stale.code == "stale_fence"


async def test_a_device_refuses_a_bundle_that_it_cannot_run(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """Only the manifest shows it, so it fails after the transfer; the active show still runs."""
    old, poor = f"{name(unique)}-old", f"{name(unique)}-poor"
    profiles = {old: Profile(firmware="0.9.0"), poor: Profile(node_types=("led_output",))}
    async with make_fleet([old, poor], profiles=profiles, factory=True) as fleet:
        fields = await store(1)
        assert (await commander.call(old, "stage", "s1", **fields)).code == "firmware_too_old"
        assert (await commander.call(poor, "stage", "s2", **fields)).code == "missing_nodes"
        assert all(state.active and not state.staged for state in fleet.states().values())


async def test_a_wrong_size_or_hash_is_detected(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """The stored object is longer than announced, or it is another object."""
    device = name(unique)
    async with make_fleet([device], factory=True) as fleet:
        fields = await store(1)
        short = await commander.call(device, "stage", "s1", **fields | {"size": fields["size"] - 1})
        assert (short.status, short.code) == ("failed", "size_mismatch")
        other = await commander.call(device, "stage", "s2", **fields | {"bundle_sha256": "0" * 64})
        assert (other.status, other.code) == ("failed", "hash_mismatch")
        assert fleet.state(device).staged == ()


async def longest_pause(over: asyncio.Event) -> float:
    """Return the longest time, in seconds, that this event loop delayed a timer, until `over` is set."""
    longest_s, loop = 0.0, asyncio.get_running_loop()
    while not over.is_set():
        due_s = loop.time() + 0.01
        await asyncio.sleep(0.01)
        longest_s = max(longest_s, loop.time() - due_s)
    return longest_s


async def test_a_hundred_devices_activate_together(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """None starts before its activation time on its own clock, and nearly all start soon after, unless the machine is paused."""
    devices = [f"{name(unique)}-{number}" for number in range(100)]
    async with make_fleet(devices) as fleet:
        fields = await store(1)
        staged = await asyncio.gather(
            *(commander.call(device, "stage", f"s {device}", **fields) for device in devices)
        )
        assert {answer.status for answer in staged} == {"done"}
        longest_stall = asyncio.create_task(longest_pause(over := asyncio.Event()))
        for device in devices:
            shown_ms, *_ = await commander.device_time(device)
            at_ms = shown_ms + 3000
            await commander.send(
                device, "activate", f"a {device}", bundle_sha256=bundle(1).sha256, at_ms=at_ms
            )
        done = await asyncio.gather(*(commander.answer(f"a {device}") for device in devices))
        over.set()
        stall_ms = await longest_stall * 1000
    moments = {activation.command_id: activation for activation in fleet.activations()}
    assert len(moments) == 100
    assert all(moments[answer.command_id].at_ms == answer.at_ms for answer in done)
    late = sorted(moment.at_ms - (moment.wanted_ms or 0) for moment in moments.values())
    assert late[0] > -2
    assert late[94] < 1000 + stall_ms
