"""Runs jobs inside a worker process; `worker_process` starts it and receives its messages."""

import contextlib
import ctypes
import os
import resource
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

Report = Callable[[Any], None]
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has warmed up."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """The job reported progress."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The job has ended with this result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The job raised an exception. Its parts are sent, because the exception itself may not be picklable."""

    kind: str
    code: str | None
    message: str
    trace: str
    out_of_memory: bool


def run_worker(
    connection: Connection,
    work: Callable[[Any, Report], Any],
    warm_up: Callable[[], None] | None,
    address_space_bytes: int | None,
) -> None:
    """Run the jobs that arrive on the connection until it closes."""
    _die_with_parent()
    # In a separate process group the parent can kill it with all its descendants, and Ctrl-C does not reach it.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A parent that ends closes the connection, perhaps while this worker still warms up.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        if _warm(connection, warm_up, address_space_bytes):
            while True:
                connection.send(_outcome(work, connection.recv(), connection))


def _warm(
    connection: Connection, warm_up: Callable[[], None] | None, address_space_bytes: int | None
) -> bool:
    try:
        if warm_up:
            warm_up()
        if address_space_bytes:
            resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    except Exception as error:  # noqa: BLE001  every error is reported to the parent
        connection.send(_raised(error))
        return False
    connection.send(Ready())
    return True


def _outcome(work: Callable[[Any, Report], Any], job: object, connection: Connection) -> Ended | Raised:
    try:
        return Ended(work(job, lambda value: connection.send(Progressed(value))))
    except Exception as error:  # noqa: BLE001  the parent decides what an error means
        return _raised(error)


def _raised(error: Exception) -> Raised:
    code = getattr(error, "code", None)
    return Raised(
        kind=type(error).__name__,
        code=code if isinstance(code, str) else None,
        message=str(error) or type(error).__name__,
        trace="".join(traceback.format_exception(error))[-4000:],
        out_of_memory=isinstance(error, MemoryError),
    )


def _die_with_parent() -> None:
    """Make the kernel kill this process when its parent ends, even by SIGKILL; on Linux only."""
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
