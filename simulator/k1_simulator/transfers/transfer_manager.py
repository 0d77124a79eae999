"""Runs the transfers of a device: download, compare size and hash, verify, store."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from k1_contracts.messages.deploy.device_link import FetchChunk, Stage
from k1_simulator.faults.fault_injector import FaultInjector
from k1_simulator.faults.transfer_faults import FaultyByteFilter
from k1_simulator.fleet_context import FleetContext
from k1_simulator.state_machine.machine import Machine
from k1_simulator.state_machine.transition import Effect
from k1_simulator.transfers.disk import DeviceDisk
from k1_simulator.transfers.download import Download, http_source, link_source
from k1_simulator.verification import StageError, check_fits

_log = logging.getLogger(__name__)
_PROGRESS_EVERY_S: Final = 0.5

RequestChunk = Callable[[FetchChunk], Awaitable[bytes]]
Apply = Callable[[list[Effect]], Awaitable[None]]


@dataclass(slots=True)
class TransferManager:
    """Runs at most one transfer at a time; reports its end to the machine and passes the effects to `apply`."""

    context: FleetContext
    disk: DeviceDisk
    machine: Machine
    faults: FaultInjector
    rng: random.Random
    request_chunk: RequestChunk
    apply: Apply
    received_bytes: int | None = None
    """The bytes received by the current transfer."""
    bytes_per_s: float | None = None
    """The rate limit of the next transfer."""
    _task: asyncio.Task[None] | None = None
    _reported_at_s: float = 0.0

    def start(self, stage: Stage) -> None:
        """Start a transfer, or continue at the end of its file; stop another one."""
        self.stop()
        byte_filter = FaultyByteFilter(self.faults, self.bytes_per_s)
        self.bytes_per_s, self.received_bytes, self._reported_at_s = None, 0, time.monotonic()
        self._task = asyncio.create_task(self._run(stage, byte_filter))

    def stop(self) -> None:
        """Stop the current transfer; do nothing if there is none, or if it is the caller."""
        task, self._task, self.received_bytes = self._task, None, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _run(self, stage: Stage, byte_filter: FaultyByteFilter) -> None:
        try:
            async with self.context.transfer_slots:
                duration_ms = await self._download(stage, byte_filter)
        except StageError as error:
            effects = self.machine.transfer_failed(error.code, str(error))
        except Exception as error:  # noqa: BLE001  every command gets a reply
            _log.exception("transfer failed", extra={"device": self.machine.memory.device_id})
            effects = self.machine.transfer_failed("fetch_failed", f"{type(error).__name__}: {error}")
        else:
            self.disk.keep_partial(stage.bundle_sha256)
            effects = self.machine.transferred(duration_ms)
        self.received_bytes = None
        await self.apply(effects)

    async def _download(self, stage: Stage, byte_filter: FaultyByteFilter) -> float:
        """Fetch and verify a bundle; return the duration of its song in ms."""
        file = self.disk.partial(stage.bundle_sha256)
        transfer = Download(stage, file, byte_filter, self._progressed, self.rng)
        sources = [
            ("HTTP", http_source(self.context.http, stage)),
            ("link", link_source(self.request_chunk, stage)),
        ]
        await transfer.run(sources)
        data = file.read_bytes()
        if (sha256 := hashlib.sha256(data).hexdigest()) != stage.bundle_sha256:
            raise StageError("hash_mismatch", f"the bytes that came have the SHA-256 {sha256}")
        bundle = await self.context.checks.verify(sha256, data, self.machine.memory.trusted)
        check_fits(bundle.manifest, self.machine.profile)
        return bundle.duration_ms

    async def _progressed(self, received_bytes: int) -> None:
        self.received_bytes = received_bytes
        if time.monotonic() - self._reported_at_s >= _PROGRESS_EVERY_S:
            self._reported_at_s = time.monotonic()
            await self.apply(self.machine.progressed(received_bytes))
