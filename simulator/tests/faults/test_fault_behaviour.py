"""Tests each fault from the other end of the link."""

import asyncio
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from nats.aio.client import Client

from k1_contracts.messages.telemetry import DEVICE_READINGS, TelemetryBody, TelemetrySample
from k1_simulator.event_log import Change
from k1_simulator.faults.models import (
    ActivateError,
    AnyFault,
    Corrupt,
    CrashAfterActivate,
    DriftRamp,
    DropAt,
    FaultPlan,
    LieSuccess,
    LowFps,
    Mute,
    NoSpace,
    Offline,
    Overheat,
    Reject,
    Slow,
)
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig
from simulator.tests.commander import Commander
from simulator.tests.conftest import MakeFleet
from simulator.tests.shows import bundle
from tests.support.waiting import eventually

SHOW = bundle(1).sha256


def one(make_fleet: MakeFleet, device: str, *faults: AnyFault, **options: Any) -> Fleet:
    """Return a device that plays a factory show and has these faults."""
    return make_fleet([device], factory=True, faults=FaultPlan(faults=list(faults)), **options)


def record_changes() -> tuple[list[tuple[str, str, float]], Callable[[Change], None]]:
    """Return a list of (event, device, host's monotonic clock) for all changes, and the function that fills it."""
    events: list[tuple[str, str, float]] = []
    return events, lambda change: events.append((change.event, change.device_id, time.monotonic()))


def plays(fleet: Fleet, device: str) -> str | None:
    active = fleet.state(device).active
    return active.bundle_sha256 if active else None


async def test_reject(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """The command is refused with the requested code; the same command later is not."""
    async with one(make_fleet, unique, Reject(fault="reject", step="stage", code="busy")):
        refused = await commander.call(unique, "stage", "s", **await store(1))
        assert (refused.status, refused.code) == ("refused", "busy")
        assert (await commander.call(unique, "stage", "s", **await store(1))).status == "done"


async def test_no_space(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """It is refused each time if the fault is `always`."""
    async with one(make_fleet, unique, NoSpace(fault="no_space", repeat="always")):
        for number in range(2):
            refused = await commander.call(unique, "stage", f"s{number}", **await store(1))
            assert (refused.status, refused.code) == ("refused", "no_space")


async def test_offline_loses_the_command(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """There is no reply, the connection is lost, and the device returns in time without having executed the command."""
    events, note = record_changes()
    fault = Offline(fault="offline", step="stage", for_s=0.3)
    async with one(make_fleet, unique, fault, on_change=note) as fleet:
        await commander.send(unique, "stage", "s", **await store(1))
        await eventually(lambda: [event for event, _, _ in events].count("online") == 2, "it comes back")
        assert commander.statuses("s") == []
        assert fleet.state(unique).staged == ()
    assert [event for event, _, _ in events] == ["online", "fault", "offline", "online", "offline"]
    assert events[3][2] - events[1][2] > 0.29


async def test_offline_after_the_command_was_accepted(
    make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """The device is armed and goes offline; it still starts in time, and reports that when the command is repeated."""
    # It goes before the bookkeeping of an activation begins, even if the moment has come already.
    fault = Offline(fault="offline", step="activate", for_s=3600, after_s=0.001)
    async with one(make_fleet, unique, fault) as fleet:
        await commander.call(unique, "stage", "s", **await store(1))
        now_ms, *_ = await commander.device_time(unique)
        fields = {"bundle_sha256": SHOW, "at_ms": now_ms + 250}
        await commander.send(unique, "activate", "a", **fields)
        await eventually(lambda: plays(fleet, unique) == SHOW, "it plays")
        await eventually(lambda: not fleet.state(unique).online, "it is away")
        fleet.end_faults()
        await eventually(lambda: fleet.state(unique).online, "it comes back")
        assert commander.statuses("a") == [("reply subject", "accepted")]
        assert (await commander.call(unique, "activate", "a", **fields)).status == "done"
        assert len(fleet.activations()) == 1


async def test_offline_at_the_start(make_fleet: MakeFleet, unique: str) -> None:
    """The fleet does not wait for such devices, and they come later."""
    soon, late = f"{unique}-a", f"{unique}-b"
    faults: list[AnyFault] = [
        Offline(fault="offline", devices=soon, step="start", for_s=0.5),
        Offline(fault="offline", devices=late, step="start", for_s=3600),
    ]
    events, note = record_changes()
    begun = time.monotonic()
    async with make_fleet([soon, late], faults=FaultPlan(faults=faults), on_change=note) as fleet:
        await eventually(lambda: fleet.state(soon).online, "it comes")
        assert [(event, device) for event, device, _ in events] == [("online", soon)]
        assert events[0][2] - begun > 0.49
        assert not fleet.state(late).online


async def test_ended_faults_do_not_start(make_fleet: MakeFleet, commander: Commander, unique: str) -> None:
    """A connection that was about to be lost for an hour stays."""
    fault = Offline(fault="offline", step="ping", for_s=3600, after_s=0.2)
    events: list[str] = []

    def note(change: Change) -> None:
        events.append(change.event)
        if change.event == "ping done":  # in the same step in which the fault started
            fleet.end_faults()

    fleet = one(make_fleet, unique, fault, on_change=note)
    async with fleet:
        assert (await commander.call(unique, "ping", "p")).status == "done"
        await asyncio.sleep(0.4)
        assert events == ["online", "fault", "ping done"]
        assert fleet.state(unique).online


async def test_slow(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """The command is executed late, and the bytes come at their rate, with progress."""
    fields = await store(1, chunk_size=1000)
    seconds = fields["size"] / 10_000
    fault = Slow(fault="slow", step="stage", for_s=0.3, bytes_per_s=10_000)
    async with one(make_fleet, unique, fault):
        begun = time.monotonic()
        await commander.send(unique, "stage", "s", **fields)
        await commander.answer("s", "accepted")
        assert time.monotonic() - begun > 0.28
        assert (await commander.answer("s")).status == "done"
        assert time.monotonic() - begun > 0.3 + seconds * 0.9
    progress = [
        reply.received_bytes or 0 for _, reply in commander.received["s"] if reply.status == "progress"
    ]
    assert progress
    assert progress == sorted(progress)


async def test_mute(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """The command is executed without a reply; when it is repeated, the device reports the result."""
    async with one(make_fleet, unique, Mute(fault="mute", step="stage")) as fleet:
        await commander.send(unique, "stage", "s", **await store(1))
        await eventually(lambda: fleet.state(unique).staged, "it is staged")
        assert commander.statuses("s") == []
        assert (await commander.call(unique, "stage", "s", **await store(1))).status == "done"


@pytest.mark.parametrize("step", ["stage", "activate"])
async def test_lie_success(
    step: Any, make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:
    """The reply is `done`, but the bundles in the hello are the real ones."""
    async with one(make_fleet, unique, LieSuccess(fault="lie_success", step=step)) as fleet:
        before = plays(fleet, unique)
        answer = await commander.call(unique, "stage", "s", **await store(1))
        if step == "activate":
            answer = await commander.call(unique, "activate", "a", bundle_sha256=SHOW)
        assert answer.status == "done"
        assert answer.hello is not None
        assert answer.hello.active is not None
        assert answer.hello.active.bundle_sha256 == before
        assert (SHOW in answer.hello.staged) is (step == "activate")


async def test_drop_at(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """With `once` the transfer continues from that byte; with `always` it never passes it."""
    always = DropAt(fault="drop_at", byte=5000, repeat="always", devices="*-b")
    once = DropAt(fault="drop_at", byte=5000, devices="*-a")
    plan = FaultPlan(faults=[once, always])
    async with make_fleet([f"{unique}-a", f"{unique}-b"], faults=plan) as fleet:
        fields = await store(1, chunk_size=1000)
        assert (await commander.call(f"{unique}-a", "stage", "s", **fields)).status == "done"
        failed = await commander.call(f"{unique}-b", "stage", "s", **fields)
        assert (failed.status, failed.code) == ("failed", "fetch_failed")
        assert "at byte 5000" in (failed.message or "")
        assert fleet.state(f"{unique}-b").staged == ()


async def test_corrupt(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """The hash shows it; the bytes are deleted, and the next attempt succeeds."""
    async with one(make_fleet, unique, Corrupt(fault="corrupt", byte=3000)) as fleet:
        fields = await store(1, chunk_size=1000)
        failed = await commander.call(unique, "stage", "s1", **fields)
        assert (failed.status, failed.code) == ("failed", "hash_mismatch")
        assert fleet.state(unique).staged == ()
        assert (await commander.call(unique, "stage", "s2", **fields)).status == "done"


async def test_activate_error(make_fleet: MakeFleet, commander: Commander, store: Any, unique: str) -> None:
    """It is accepted, and fails at its activation time; the earlier show continues."""
    async with one(make_fleet, unique, ActivateError(fault="activate_error")) as fleet:
        before = plays(fleet, unique)
        await commander.call(unique, "stage", "s", **await store(1))
        failed = await commander.call(unique, "activate", "a1", bundle_sha256=SHOW)
        assert (failed.status, failed.code) == ("failed", "activate_failed")
        assert plays(fleet, unique) == before
        assert (await commander.call(unique, "activate", "a2", bundle_sha256=SHOW)).status == "done"


@pytest.mark.parametrize(("comes_back", "answer"), [("new", "done"), ("old", "failed")])
async def test_crash_after_activate(  # noqa: PLR0917
    comes_back: Any, answer: str, make_fleet: MakeFleet, commander: Commander, store: Any, unique: str
) -> None:  # fmt: skip
    """The device starts the show and restarts without a bye; the repeated command returns the result."""
    fault = CrashAfterActivate(fault="crash_after_activate", comes_back=comes_back, for_s=0.2)
    async with one(make_fleet, unique, fault) as fleet:
        before = plays(fleet, unique)
        await commander.call(unique, "stage", "s", **await store(1))
        await commander.send(unique, "activate", "a", bundle_sha256=SHOW)
        await eventually(lambda: not fleet.state(unique).online, "it goes")
        await eventually(lambda: fleet.state(unique).online, "it comes back")
        assert (await commander.call(unique, "activate", "a", bundle_sha256=SHOW)).status == answer
        assert plays(fleet, unique) == (SHOW if comes_back == "new" else before)
        assert len(fleet.activations()) == 1


async def test_telemetry_faults_start_and_end_with_the_show(
    make_fleet: MakeFleet, commander: Commander, store: Any, nats_client: Client, unique: str
) -> None:
    """Drift, heat and lost frames are in the readings of the new show, and disappear when it is deactivated."""
    newest: list[TelemetrySample] = []

    async def note(message: Any) -> None:
        reading = TelemetryBody.model_validate_json(message.data).root
        assert not isinstance(reading, list)
        newest[:] = [reading]

    await nats_client.subscribe(DEVICE_READINGS.subject_for(unique), cb=note)
    faults = (
        DriftRamp(fault="drift_ramp", ms_per_s=1000, limit_ms=300),
        Overheat(fault="overheat", degrees_per_s=100, limit_c=95),
        LowFps(fault="low_fps", fps=10),
    )
    async with one(make_fleet, unique, *faults, behaviour=BehaviourConfig()) as fleet:
        before = plays(fleet, unique)
        await eventually(lambda: newest, "a reading")
        assert abs(newest[0].drift_ms) < 20
        await commander.call(unique, "stage", "s", **await store(1))
        await commander.call(unique, "activate", "a", bundle_sha256=SHOW)
        await eventually(lambda: newest[0].drift_ms > 250, "it drifts")
        await eventually(lambda: newest[0].temp_c > 90 and newest[0].error == "overheated", "it is hot")
        assert newest[0].fps < 24
        await commander.call(unique, "deactivate", "d", restore=before)
        await eventually(lambda: abs(newest[0].drift_ms) < 20 and newest[0].fps > 24, "it is well again")


async def test_the_same_seed_gives_the_same_behaviour(
    make_fleet: MakeFleet, commander: Commander, store: Any, tmp_path: Any, unique: str
) -> None:
    """Of ten devices the same three fail, and another seed selects others."""
    devices = [f"{unique}-{number}" for number in range(10)]
    fields = await store(1)

    plan = FaultPlan(faults=[NoSpace(fault="no_space", share=0.3)])

    def chosen(seed: int) -> set[str]:
        return {device for device, faults in plan.assign(devices, seed).items() if faults}

    async def failing(seed: int) -> set[str]:
        folder = tmp_path / f"{seed} {time.monotonic()}"
        async with make_fleet(devices, faults=plan, seed=seed, folder=folder):
            answers = await asyncio.gather(
                *(commander.call(device, "stage", f"s {device}", **fields) for device in devices)
            )
        return {answer.device_id for answer in answers if answer.status == "refused"}

    first = await failing(1)
    assert len(first) == 3
    assert await failing(1) == first
    another = next(seed for seed in count(2) if chosen(seed) != first)
    assert await failing(another) == chosen(another)
