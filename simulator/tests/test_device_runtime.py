"""Tests the end of a device runtime and the activation time of many devices."""

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from k1_contracts.messages.deploy.device_link import DeviceReply, FetchChunk
from k1_platform.settings import NatsSettings
from k1_simulator.device_runtime import DeviceResources, DeviceRuntime
from k1_simulator.event_log import EventLog, FlashContents
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.fleet_context import BehaviourConfig, FleetContext, Servers
from k1_simulator.links.link import CommandHandler
from k1_simulator.transfers.disk import DeviceDisk
from simulator.tests.shows import address, command, fresh, held
from tests.support.simulated_time import SimulatedTime


class SlowSession:
    """A session whose replies to `inbox` take time."""

    def __init__(self, received: CommandHandler) -> None:
        self.received = received
        self.answering = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.said: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, body: bytes) -> None:
        self.said.append((subject, body))
        if subject == "inbox":
            self.answering.set()
            await self.may_answer.wait()

    async def request_chunk(self, request: FetchChunk) -> bytes:
        raise AssertionError("nothing is fetched here")

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass

    async def cut(self) -> None:
        pass


async def test_an_ended_runtime_has_no_further_effects(tmp_path: Path) -> None:
    """A power cut during a reply prevents the command's effects and leaves the flash unchanged."""
    sessions: list[SlowSession] = []

    async def opened(received: CommandHandler) -> SlowSession:
        sessions.append(SlowSession(received))
        return sessions[-1]

    held_by: list[FlashContents] = []
    async with aiohttp.ClientSession() as http:
        behaviour = BehaviourConfig(telemetry=False)
        context = FleetContext(
            Servers(NatsSettings()), behaviour, 1, EventLog(on_flash_change=held_by.append), http
        )
        disk = DeviceDisk(tmp_path)
        disk.folder.mkdir(exist_ok=True)
        resources = DeviceResources(opened, disk, FaultInjector(), context, lambda _: None)
        runtime = DeviceRuntime(resources, fresh(active=held(1), others=(held(2),)), random.Random(1))
        runtime.start()
        await runtime.connection.online.wait()
        body = command("activate", "a", bundle_sha256=address(2))
        obeying = asyncio.ensure_future(sessions[0].received("activate", body, "inbox"))
        await sessions[0].answering.wait()
        await runtime.end(bye=False)
        kept = (tmp_path / "state.json").read_bytes()
        sessions[0].may_answer.set()
        await obeying
        await asyncio.sleep(0.1)  # longer than an activation's bookkeeping takes
        assert [holding.active for holding in held_by] == [address(1)]
        assert runtime.machine.memory.active == held(1)
        assert (tmp_path / "state.json").read_bytes() == kept


def test_devices_activate_at_their_exact_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All start to the microsecond on simulated time although other work is postponed; they reply accepted, then done."""
    simulated = SimulatedTime()
    for module in ("device_runtime", "playback.show"):
        clocks = SimpleNamespace(monotonic=simulated.time, time=simulated.time)
        monkeypatch.setattr(f"k1_simulator.{module}.time", clocks)
    sessions: list[SlowSession] = []

    async def opened(received: CommandHandler) -> SlowSession:
        sessions.append(SlowSession(received))
        return sessions[-1]

    async def changed_together(count: int) -> FleetContext:
        async with aiohttp.ClientSession() as http:
            context = FleetContext(
                Servers(NatsSettings()), BehaviourConfig(telemetry=False), 1, EventLog(), http
            )
            for number in range(count):
                disk = DeviceDisk(tmp_path / str(number))
                disk.folder.mkdir()
                resources = DeviceResources(opened, disk, FaultInjector(), context, lambda _: None)
                runtime = DeviceRuntime(
                    resources, fresh(active=held(1), others=(held(2),)), random.Random(number)
                )
                runtime.start()
                await runtime.connection.online.wait()
                at_ms = runtime._clock.show(10.0)
                body = command("activate", f"a{number}", bundle_sha256=address(2), at_ms=at_ms)
                await sessions[number].received("activate", body, None)
            await asyncio.sleep(20)
        return context

    moments = simulated.run(changed_together(20)).event_log.activations
    assert [moment.monotonic_s for moment in moments] == pytest.approx([10.0] * 20, abs=1e-6)
    assert [moment.at_ms - (moment.wanted_ms or 0) for moment in moments] == pytest.approx(
        [0] * 20, abs=0.001
    )
    for session in sessions:
        statuses = [DeviceReply.model_validate_json(body).status for subject, body in session.said[1:]]
        assert statuses == ["accepted", "done"]
