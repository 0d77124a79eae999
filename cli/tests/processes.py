"""Waits for conditions of real processes."""

import time
from collections.abc import Callable

import psutil

_PATIENCE_S = 120.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition is true; fail with `what` after two minutes."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Return whether the process runs; a zombie does not run, although its parent has not reaped it yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
