"""The transfer of a device: fetch, measure, hash, check, keep."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from k1_contracts.devices import FetchChunk, Stage
from k1_simulator.disk import DeviceDisk
from k1_simulator.disturbing import DisturbedTap
from k1_simulator.fault_box import FaultBox
from k1_simulator.fetching import Transfer, by_http, by_link
from k1_simulator.machine import Machine
from k1_simulator.turn import Effect
from k1_simulator.verification import StageError, check_fits
from k1_simulator.world import World

_log = logging.getLogger(__name__)
_PROGRESS_EVERY_S: Final = 0.5

AskChunk = Callable[[FetchChunk], Awaitable[bytes]]
Apply = Callable[[list[Effect]], Awaitable[None]]


@dataclass(slots=True)
class Transfers:
    """At most one at a time; how it ends goes to the machine, and what follows from that to `apply`."""

    world: World
    disk: DeviceDisk
    machine: Machine
    faults: FaultBox
    rng: random.Random
    ask_chunk: AskChunk
    apply: Apply
    received_bytes: int | None = None
    """Of the transfer that runs."""
    bytes_per_s: float | None = None
    """How fast the next one is at most."""
    _task: asyncio.Task[None] | None = None
    _told_at: float = 0.0

    def start(self, stage: Stage) -> None:
        """Begin, or go on where the file ends; another one that runs is left."""
        self.stop()
        tap = DisturbedTap(self.faults, self.bytes_per_s)
        self.bytes_per_s, self.received_bytes, self._told_at = None, 0, time.monotonic()
        self._task = asyncio.create_task(self._run(stage, tap))

    def stop(self) -> None:
        """Leave the one that runs; harmless when none does, and from within it."""
        task, self._task, self.received_bytes = self._task, None, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _run(self, stage: Stage, tap: DisturbedTap) -> None:
        try:
            async with self.world.transferring:
                await self._bring(stage, tap)
        except StageError as error:
            effects = self.machine.transfer_failed(error.code, str(error))
        except Exception as error:  # noqa: BLE001  whatever it was, the command is answered
            _log.exception("transfer failed", extra={"device": self.machine.memory.device_id})
            effects = self.machine.transfer_failed("fetch_failed", f"{type(error).__name__}: {error}")
        else:
            self.disk.keep_partial(stage.bundle_sha256)
            effects = self.machine.transferred()
        self.received_bytes = None
        await self.apply(effects)

    async def _bring(self, stage: Stage, tap: DisturbedTap) -> None:
        file = self.disk.partial(stage.bundle_sha256)
        transfer = Transfer(stage, file, tap, self._progressed, self.rng)
        ways = [("HTTP", by_http(self.world.http, stage)), ("link", by_link(self.ask_chunk, stage))]
        await transfer.run(ways)
        data = file.read_bytes()
        if (sha256 := hashlib.sha256(data).hexdigest()) != stage.bundle_sha256:
            raise StageError("hash_mismatch", f"the bytes that came have the SHA-256 {sha256}")
        manifest = await self.world.checks.manifest(sha256, data, self.machine.memory.trusted)
        check_fits(manifest, self.machine.profile)

    async def _progressed(self, received_bytes: int) -> None:
        self.received_bytes = received_bytes
        if time.monotonic() - self._told_at >= _PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            await self.apply(self.machine.progressed(received_bytes))
