"""Runs work that holds the interpreter's lock in a fork, which ends together with this process.

Essentia's trackers take as long as everything else together, do not release the lock, and crash on some files. A fork
shares the memory of the warmed-up parent, so it costs only what the work itself allocates.
"""

import ctypes
import gc
import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

Result = TypeVar("Result")

_PR_SET_PDEATHSIG = 1
_CHUNK = 1 << 16
_STARTED = b"s"
_START_TIMEOUT_S = 20.0
_STARTS = 3


class ForkedProcessError(Exception):
    """The fork crashed, raised or took too long."""


class ForkedProcess(Generic[Result]):
    """Runs `work()` in a fork and returns its pickled result. A context manager.

    The kernel kills the fork when the thread that created it ends in any way. Fork before threads are started, if
    possible: the fork has only the calling thread.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._pid: int | None = None
        self._pipe = -1
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Return the id of the fork; None after it was waited for."""
        return self._pid

    def result(self, timeout_s: float) -> Result:
        """Return what `work` returned.

        A fork of a process with threads can stop before its first line, at a lock that a thread held. Such a fork is
        replaced by another one. `timeout_s` counts from the start.

        Raises:
            ForkedProcessError: `work` raised, its process died or did not start, or `timeout_s` passed.
        """
        for attempt in range(_STARTS):
            if attempt:
                self.stop()
                self._start()
            if self._is_readable(_START_TIMEOUT_S):
                return self._read_result(timeout_s)
        raise ForkedProcessError(f"the process did not start {_STARTS} times")

    def _start(self) -> None:
        parent = os.getpid()
        self._pipe, write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _run(self._work, write_end, parent)
        os.close(write_end)

    def _is_readable(self, timeout_s: float) -> bool:
        """Return whether the fork has written something, or has ended, within this time."""
        ready, _, _ = select.select([self._pipe], [], [], max(0.0, timeout_s))
        return bool(ready)

    def _read_result(self, timeout_s: float) -> Result:
        deadline = time.monotonic() + timeout_s
        received = bytearray()
        while True:
            if not self._is_readable(deadline - time.monotonic()):
                raise ForkedProcessError(f"no result within {timeout_s:.0f} s")
            chunk = os.read(self._pipe, _CHUNK)
            if not chunk:
                break
            received += chunk
        if len(received) <= len(_STARTED):
            raise ForkedProcessError("the process died without a result")
        succeeded, value = pickle.loads(received[len(_STARTED) :])  # noqa: S301  written by our own fork
        if not succeeded:
            raise ForkedProcessError(str(value))
        return cast("Result", value)

    def stop(self) -> None:
        """Kill the fork if it still runs, and wait for it. A second call has no effect."""
        if self._pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._pipe)
        self._pid = None


def _run(work: Callable[[], object], pipe: int, parent: int) -> None:
    """Run `work` in the fork, then exit. Never returns, and never runs the parent's exit handlers."""
    try:
        # A garbage collection would write to every object and so copy the pages that the parent shares.
        gc.disable()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
        os.write(pipe, _STARTED)
        try:
            message = pickle.dumps((True, work()))
        except Exception as error:  # noqa: BLE001  whatever happened is the parent's to judge
            message = pickle.dumps((False, f"{type(error).__name__}: {error}"))
        with os.fdopen(pipe, "wb") as stream:
            stream.write(message)
    finally:
        os._exit(0)
