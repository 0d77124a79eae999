"""Runs jobs in a separate, long-lived process, because they may crash, hang or use too much memory.

A worker runs one job at a time. It is killed with all its descendants when a job exceeds its limit of time or memory.
The event loop of the parent never blocks: a native library that holds the GIL for seconds holds the GIL of the worker.
A fork server that has already imported the modules starts the workers, so a new worker starts within milliseconds.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, Final, Literal

from k1_platform.processes.threads import in_thread
from k1_platform.processes.worker_main import Ended, Progressed, Raised, Ready, Report, run_worker

Work = Callable[[Any, Report], Any]
"""A module-level function that gets a job and a function to report progress; all values are small and picklable."""
FailureCode = Literal["crashed", "timed_out", "out_of_memory"]

_WATCH_S: Final = 0.1
_START_TIMEOUT_S: Final = 60.0
_NEAR_LIMIT: Final = 0.8
_EXIT_CODE_S: Final = 30.0
"""How long to wait for the exit code; the fork server reports it, which may take long on a busy machine."""
_EXIT_PAUSE_S: Final = 0.005
_log = logging.getLogger(__name__)


class WorkerFailedError(Exception):
    """The worker process failed, not its work; the pool replaces it."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code: FailureCode = code


class WorkError(Exception):
    """The work raised an exception in the worker.

    Attributes:
        code: the `code` of the exception, if it has one.
        kind: the name of the class of the exception.
        trace: the traceback as text.
    """

    def __init__(self, raised: Raised) -> None:
        super().__init__(raised.message)
        self.code = raised.code
        self.kind = raised.kind
        self.trace = raised.trace


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """The limits of one job; memory is the resident memory of the worker and all its descendants, in bytes."""

    timeout_s: float
    memory_bytes: int
    address_space_bytes: int | None = None
    """RLIMIT_AS: makes one huge allocation fail at once, before it becomes resident."""


class WorkerProcess:
    """Runs jobs in one process, one at a time."""

    def __init__(self, work: Work, warm_up: Callable[[], None] | None, limits: WorkerLimits) -> None:
        self._work = work
        self._warm_up = warm_up
        self._limits = limits
        self._process: ForkServerProcess | None = None
        self._connection: Connection | None = None
        self._messages: asyncio.Queue[object] = asyncio.Queue()
        self.jobs_done = 0

    @property
    def pid(self) -> int | None:
        """The process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        """Whether the process runs and its connection is open."""
        return self._connection is not None and self._process is not None and self._process.is_alive()

    async def start(self) -> None:
        """Start the process and wait until it is warm.

        Raises:
            WorkerFailedError: it ended, or did not warm up in time.
        """
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=run_worker,
            args=(theirs, self._work, self._warm_up, self._limits.address_space_bytes),
        )
        await in_thread(self._process.start)
        theirs.close()
        self._connection = ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                first = await self._messages.get()
        except TimeoutError:
            self.kill()
            raise WorkerFailedError("timed_out", "a worker process did not start in time") from None
        except BaseException:
            self.kill()
            raise
        if not isinstance(first, Ready):
            reason = str(first.message) if isinstance(first, Raised) else "it ended"
            self.kill()
            raise WorkerFailedError("crashed", f"a worker process could not start: {reason}")

    async def run(self, job: object, on_progress: Callable[[Any], None] | None = None) -> Any:
        """Run one job and return its result.

        Raises:
            WorkError: the work raised an exception; the worker keeps running.
            WorkerFailedError: the worker crashed or exceeded a limit, and has ended.
        Cancelling this coroutine kills the worker.
        """
        assert self._connection is not None, "start the worker first"
        deadline = time.monotonic() + self._limits.timeout_s
        peak = 0
        try:
            self._connection.send(job)
            while True:
                try:
                    async with asyncio.timeout(_WATCH_S):
                        message = await self._messages.get()
                except TimeoutError:
                    peak = max(peak, self._check_limits(deadline))
                    continue
                if isinstance(message, Progressed):
                    if on_progress:
                        on_progress(message.value)
                    continue
                break
        except OSError as error:
            self.kill()
            raise WorkerFailedError("crashed", f"the analysis process is gone: {error}") from error
        except BaseException:
            self.kill()
            raise
        return await self._outcome(message, peak)

    async def _outcome(self, message: object, peak: int) -> Any:
        self.jobs_done += 1
        if isinstance(message, Ended):
            return message.result
        if isinstance(message, Raised) and message.out_of_memory:
            self.kill()
            raise WorkerFailedError("out_of_memory", "the work needs more memory than it may take")
        if isinstance(message, Raised):
            raise WorkError(message)
        try:
            exit_code = await self._exit_code()
        finally:
            self.kill()
        near_limit = peak > _NEAR_LIMIT * self._limits.memory_bytes
        if exit_code == -signal.SIGKILL and near_limit:
            raise WorkerFailedError("out_of_memory", "the process was killed near its memory limit")
        raise WorkerFailedError("crashed", f"the process {_exit_text(exit_code)}")

    def _check_limits(self, deadline: float) -> int:
        if time.monotonic() > deadline:
            self.kill()
            raise WorkerFailedError("timed_out", f"not done after {self._limits.timeout_s:.0f} s")
        resident = _resident_bytes(self.pid or 0)
        if resident > self._limits.memory_bytes:
            self.kill()
            used, most = resident >> 20, self._limits.memory_bytes >> 20
            raise WorkerFailedError("out_of_memory", f"took {used} MiB of at most {most} MiB")
        return resident

    def _receive(self) -> None:
        assert self._connection is not None
        try:
            self._messages.put_nowait(self._connection.recv())
        except (EOFError, OSError):
            self._close_connection()
            self._messages.put_nowait(None)

    def _close_connection(self) -> None:
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
            self._connection = None

    async def _exit_code(self) -> int | None:
        deadline = time.monotonic() + _EXIT_CODE_S
        while self._process is not None and time.monotonic() < deadline:
            if (code := self._process.exitcode) is not None:
                return code
            await asyncio.sleep(_EXIT_PAUSE_S)
        return None

    def kill(self) -> None:
        """Kill the process and all its descendants."""
        self._close_connection()
        if self._process is not None and self._process.pid:
            # The worker leads a separate process group (see worker_main).
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, ValueError):
                self._process.kill()


def _exit_text(code: int | None) -> str:
    if code is None:
        return "ended in an unknown way"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants in bytes; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123  read ten times a second
            pages = int(file.read().split()[1])
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
            children = file.read().split()
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_resident_bytes(int(child)) for child in children)
