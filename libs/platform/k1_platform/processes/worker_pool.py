"""Keeps a pool of long-lived worker processes, for services whose work may crash or block."""

import asyncio
import itertools
import logging
import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any, Final

from k1_platform.processes.backoff import BackoffSchedule
from k1_platform.processes.worker_process import Work, WorkerFailedError, WorkerLimits, WorkerProcess

START_BACKOFF: Final = BackoffSchedule(first_s=0.5, max_s=30.0)
"""The pauses after a worker process did not start."""
_log = logging.getLogger(__name__)


class WorkerPool:
    """Keeps a fixed number of warm workers; replaces a dead or worn one in the background.

    A process has one fork server, so all pools of a process must name the same modules in `preload`.
    """

    def __init__(
        self,
        work: Work,
        *,
        size: int,
        limits: WorkerLimits,
        recycle_after: int,
        warm_up: Callable[[], None] | None = None,
        preload: Sequence[str] = (),
    ) -> None:
        self._make: Callable[[], WorkerProcess] = lambda: WorkerProcess(work, warm_up, limits)
        self._size = size
        self._recycle_after = recycle_after
        self._preload = list(preload)
        self._idle: asyncio.Queue[WorkerProcess] = asyncio.Queue()
        self._all: set[WorkerProcess] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def warm(self) -> int:
        """The number of workers that wait for a job."""
        return self._idle.qsize()

    @property
    def pids(self) -> list[int]:
        """The process ids of the running workers."""
        return [worker.pid for worker in self._all if worker.pid and worker.alive]

    def start(self) -> None:
        """Start the workers in the background; jobs wait for the first that is warm."""
        if self._preload:
            multiprocessing.get_context("forkserver").set_forkserver_preload(self._preload)
        for _ in range(self._size):
            self._replace()

    def close(self) -> None:
        """Kill every worker."""
        self._closed = True
        for task in self._starting:
            task.cancel()
        for worker in self._all:
            worker.kill()

    async def run(self, job: object, on_progress: Callable[[Any], None] | None = None) -> Any:
        """Run a job in the next idle worker and return its result; raises as `WorkerProcess.run` does."""
        worker = await self._take()
        try:
            return await worker.run(job, on_progress)
        finally:
            self._give_back(worker)

    async def _take(self) -> WorkerProcess:
        while True:
            worker = await self._idle.get()
            if worker.alive:
                return worker
            self._give_back(worker)

    def _give_back(self, worker: WorkerProcess) -> None:
        if self._closed:
            return
        if worker.alive and worker.jobs_done < self._recycle_after:
            self._idle.put_nowait(worker)
            return
        worker.kill()
        self._all.discard(worker)
        self._replace()

    def _replace(self) -> None:
        task = asyncio.ensure_future(self._start_one())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start_one(self) -> None:
        for failures in itertools.count(1):
            worker = self._make()
            self._all.add(worker)
            try:
                await worker.start()
            except WorkerFailedError as error:
                self._all.discard(worker)
                _log.error("a worker process did not start", extra={"reason": str(error)})
                await asyncio.sleep(START_BACKOFF.pause_s(failures))
            else:
                self._idle.put_nowait(worker)
                return
