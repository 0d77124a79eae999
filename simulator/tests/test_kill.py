"""Tests `kill -9` of a process of devices at any time: what runs is complete, and the work continues."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from k1_contracts.messages.deploy.device_link import DeviceHello
from k1_simulator.faults.models import FaultPlan, Slow
from k1_simulator.identity import Identity
from simulator.tests.commander import Commander
from simulator.tests.shows import bundle
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import eventually

SHOW = bundle(1).sha256
MakeIdentities = Callable[..., list[Identity]]


class SimProcess:
    """Runs processes that use the same folders, one after the other."""

    def __init__(self, identities: list[Identity], nats_url: str, folder: Path) -> None:
        self.folder = folder
        self._identities = [identity.model_dump(mode="json") for identity in identities]
        self._nats_url = nats_url

    @asynccontextmanager
    async def running(self, faults: FaultPlan | None = None) -> AsyncIterator[None]:
        """A process whose devices are online; it is killed at the end."""
        options = {
            "identities": self._identities,
            "nats_url": self._nats_url,
            "folder": str(self.folder),
            "faults": faults.model_dump()["faults"] if faults else [],
        }
        log = self.folder.with_suffix(".log")
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "simulator.tests.sim_process",
                json.dumps(options),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            await eventually(lambda: len(_online(log)) == len(self._identities), "online")
            yield
        finally:
            process.kill()
            await process.wait()


def _online(log: Path) -> set[str]:
    """Return the devices that have been online, by the complete lines of a process's log."""
    lines = log.read_text().split("\n")[:-1]
    changes = [json.loads(line) for line in lines if line.startswith('{"device"')]
    return {change["device"] for change in changes if change["event"] == "online"}


async def held(commander: Commander, device: str) -> DeviceHello:
    reply = await commander.call(device, "info", f"i {device}")
    assert reply.hello is not None
    return reply.hello


async def test_kill_in_the_middle_of_a_stage(  # noqa: PLR0917
    identities: MakeIdentities,
    provisioned: Infrastructure,
    commander: Commander,
    store: Any,
    tmp_path: Path,
    unique: str,
) -> None:
    """The new process continues with the received part and replies to the earlier command; the show keeps playing."""
    sim = SimProcess(
        identities([unique], "nats"), provisioned.environment["K1_NATS_URL"], tmp_path / "devices"
    )
    fields = await store(1, chunk_size=400)
    part = sim.folder / unique / f"{SHOW}.part"
    # A second a chunk: the end is so far away that the kill comes before it.
    slow = FaultPlan(faults=[Slow(fault="slow", step="stage", bytes_per_s=400)])
    async with sim.running(slow):
        before = await held(commander, unique)
        await commander.send(unique, "stage", "s", **fields, fence=3)
        await eventually(lambda: part.exists() and part.stat().st_size > 0, "a part came")
    came = part.stat().st_size
    assert 0 < came < fields["size"]
    async with sim.running():
        done = await commander.answer("s")
        assert done.status == "done"
        assert done.hello is not None
        assert (done.hello.active, done.hello.staged) == (before.active, [SHOW])
        assert (await commander.call(unique, "stage", "s", **fields, fence=3)).status == "done"
        assert (
            await commander.call(unique, "discard", "d", bundle_sha256=SHOW, fence=2)
        ).code == "stale_fence"
    assert not part.exists()


async def test_kill_at_any_moment_of_activations(  # noqa: PLR0917
    identities: MakeIdentities,
    provisioned: Infrastructure,
    commander: Commander,
    store: Any,
    tmp_path: Path,
    unique: str,
) -> None:
    """Ten devices change back and forth and the process is killed three times: each plays one of its complete bundles."""
    devices = [f"{unique}-{number}" for number in range(10)]
    sim = SimProcess(
        identities(devices, "nats"), provisioned.environment["K1_NATS_URL"], tmp_path / "devices"
    )
    fields, rng = await store(1), random.Random(1)
    async with sim.running():
        factory = (await held(commander, devices[0])).active
        assert factory is not None
        for device in devices:
            assert (await commander.call(device, "stage", f"s {device}", **fields)).status == "done"
    wanted = {SHOW, factory.bundle_sha256}
    for round_number in range(3):
        async with sim.running():
            changing = [
                asyncio.create_task(change(commander, device, sorted(wanted), round_number))
                for device in devices
            ]
            await asyncio.sleep(rng.uniform(0.05, 0.3))
        for task in changing:
            task.cancel()
        await asyncio.gather(*changing, return_exceptions=True)
    async with sim.running():
        for device in devices:
            hello = await held(commander, device)
            assert hello.active is not None
            assert {hello.active.bundle_sha256, *hello.staged} == wanted


async def change(commander: Commander, device: str, bundles: list[str], round_number: int) -> None:
    """Activate one bundle after the other, as fast as the device replies."""
    number = 0
    while True:
        number += 1
        command_id = f"{round_number} {number} {device}"
        await commander.call(device, "activate", command_id, bundle_sha256=bundles[number % 2])
