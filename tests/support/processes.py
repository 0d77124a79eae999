"""Processes that a test starts or watches."""

import os
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

COVERAGE_VARIABLE = "COVERAGE_PROCESS_CONFIG"
"""Tells a new Python process to measure its coverage; pytest-cov sets it."""


def is_alive(process: psutil.Process | int) -> bool:
    """Return whether a process (or the process with this id) runs; a zombie does not."""
    try:
        process = psutil.Process(process) if isinstance(process, int) else process
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def inherited_environment() -> dict[str, str]:
    """Return the environment without settings: other tests of this process set K1_* to the addresses of other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("K1_")}


@contextmanager
def unmeasured() -> Generator[None]:
    """Start processes in the block without measuring their coverage.

    It saves a third of the processor time of the whole system; the tests of each package measure its services anyway.
    """
    configuration = os.environ.pop(COVERAGE_VARIABLE, None)
    try:
        yield
    finally:
        if configuration is not None:
            os.environ[COVERAGE_VARIABLE] = configuration


@contextmanager
def running_process(command: Sequence[str | Path]) -> Generator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, then terminate it."""
    process = subprocess.Popen([*map(str, command)])
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
