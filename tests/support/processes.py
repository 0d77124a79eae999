"""Processes that a test starts or watches."""

import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil


def is_alive(process: psutil.Process | int) -> bool:
    """Return whether a process (or the process with this id) runs; a zombie does not."""
    try:
        process = psutil.Process(process) if isinstance(process, int) else process
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_process(command: Sequence[str | Path]) -> Generator[subprocess.Popen[bytes]]:
    """Run a command until the block ends, then terminate it."""
    process = subprocess.Popen([*map(str, command)])
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
