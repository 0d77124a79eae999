"""The end of a device's life: what was under way comes to nothing."""

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest

from k1_contracts.devices import DeviceReply, FetchChunk
from k1_platform.settings import NatsSettings
from k1_simulator.disk import DeviceDisk
from k1_simulator.fault_box import FaultBox
from k1_simulator.journal import Holding, Journal
from k1_simulator.life import Life, Parts
from k1_simulator.link import Heard
from k1_simulator.world import Habits, Servers, World
from simulator.tests.shows import address, command, fresh, held
from tests.support.simulated_time import SimulatedTime


class SlowSession:
    """A connection that takes its time with answers to `inbox`."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.answering = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.said: list[tuple[str, bytes]] = []

    async def say(self, subject: str, body: bytes) -> None:
        self.said.append((subject, body))
        if subject == "inbox":
            self.answering.set()
            await self.may_answer.wait()

    async def ask_chunk(self, request: FetchChunk) -> bytes:
        raise AssertionError("nothing is fetched here")

    async def ended(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass

    async def cut(self) -> None:
        pass


async def test_a_life_that_has_ended_does_nothing_more(tmp_path: Path) -> None:
    """A command that is being answered when the power goes is not carried out afterwards, nor kept on the flash."""
    sessions: list[SlowSession] = []

    async def opened(heard: Heard) -> SlowSession:
        sessions.append(SlowSession(heard))
        return sessions[-1]

    held_by: list[Holding] = []
    async with aiohttp.ClientSession() as http:
        habits = Habits(telemetry=False)
        world = World(Servers(NatsSettings()), habits, 1, Journal(on_holding=held_by.append), http)
        disk = DeviceDisk(tmp_path)
        disk.folder.mkdir(exist_ok=True)
        parts = Parts(opened, disk, FaultBox(), world, lambda _: None)
        life = Life(parts, fresh(active=held(1), others=(held(2),)), random.Random(1))
        life.start()
        await life.connection.online.wait()
        body = command("activate", "a", bundle_sha256=address(2))
        obeying = asyncio.ensure_future(sessions[0].heard("activate", body, "inbox"))
        await sessions[0].answering.wait()
        await life.end(bye=False)
        kept = (tmp_path / "state.json").read_bytes()
        sessions[0].may_answer.set()
        await obeying
        await asyncio.sleep(0.1)  # longer than an activation's bookkeeping takes
        assert [holding.active for holding in held_by] == [address(1)]
        assert life.machine.memory.active == held(1)
        assert (tmp_path / "state.json").read_bytes() == kept


def test_devices_change_at_their_moment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All to the microsecond, on simulated time, though the bookkeeping of each comes later: accepted, then done."""
    simulated = SimulatedTime()
    for module in ("life", "show"):
        clocks = SimpleNamespace(monotonic=simulated.time, time=simulated.time)
        monkeypatch.setattr(f"k1_simulator.{module}.time", clocks)
    sessions: list[SlowSession] = []

    async def opened(heard: Heard) -> SlowSession:
        sessions.append(SlowSession(heard))
        return sessions[-1]

    async def changed_together(count: int) -> World:
        async with aiohttp.ClientSession() as http:
            world = World(Servers(NatsSettings()), Habits(telemetry=False), 1, Journal(), http)
            for number in range(count):
                disk = DeviceDisk(tmp_path / str(number))
                disk.folder.mkdir()
                parts = Parts(opened, disk, FaultBox(), world, lambda _: None)
                life = Life(parts, fresh(active=held(1), others=(held(2),)), random.Random(number))
                life.start()
                await life.connection.online.wait()
                at_ms = life._clock.show(10.0)
                body = command("activate", f"a{number}", bundle_sha256=address(2), at_ms=at_ms)
                await sessions[number].heard("activate", body, None)
            await asyncio.sleep(20)
        return world

    moments = simulated.run(changed_together(20)).journal.activations
    assert [moment.monotonic_s for moment in moments] == pytest.approx([10.0] * 20, abs=1e-6)
    assert [moment.at_ms - (moment.wanted_ms or 0) for moment in moments] == pytest.approx(
        [0] * 20, abs=0.001
    )
    for session in sessions:
        statuses = [DeviceReply.model_validate_json(body).status for subject, body in session.said[1:]]
        assert statuses == ["accepted", "done"]
