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


class ForkedProcessError(Exception):
    """The fork crashed, raised or took too long."""


class ForkedProcess(Generic[Result]):
    """Runs `work()` in a fork and returns its pickled result. A context manager.

    The kernel kills the fork when the thread that created it ends in any way. Fork before threads are started: the
    fork has only the calling thread.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        parent = os.getpid()
        self._pipe, write_end = os.pipe()
        self._pid: int | None = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _run(work, write_end, parent)
        os.close(write_end)

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

        Raises:
            CompanionError: `work` raised, its process died, or `timeout_s` passed.
        """
        deadline = time.monotonic() + timeout_s
        chunks: list[bytes] = []
        while True:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise ForkedProcessError(f"no result within {timeout_s:.0f} s")
            chunk = os.read(self._pipe, _CHUNK)
            if not chunk:
                break
            chunks.append(chunk)
        if not chunks:
            raise ForkedProcessError("the process died without a result")
        succeeded, value = pickle.loads(b"".join(chunks))  # noqa: S301  written by our own fork
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
        try:
            message = pickle.dumps((True, work()))
        except Exception as error:  # noqa: BLE001  whatever happened is the parent's to judge
            message = pickle.dumps((False, f"{type(error).__name__}: {error}"))
        with os.fdopen(pipe, "wb") as stream:
            stream.write(message)
    finally:
        os._exit(0)
