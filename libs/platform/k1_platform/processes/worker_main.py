"""What runs inside a child process of `children`."""

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
    """The child is warm."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """The job reported something."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """The job's result."""

    result: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """The job raised; the exception itself may not survive pickling, so its parts are sent."""

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
    """Take jobs from the connection until it closes."""
    _die_with_parent()
    # A group of its own: the parent kills it with all that it started, and Ctrl-C does not reach it.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A parent that ends closes the connection, perhaps while this child still warms up.
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
    except Exception as error:  # noqa: BLE001  whatever it was, the parent is told
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
    """Linux: the kernel kills this process when its parent ends, even by kill -9."""
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
