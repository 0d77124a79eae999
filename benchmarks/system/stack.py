"""Starts and stops the system that the benchmarks measure."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from k1_cli.stack.running_stack import RunningStack, require_stack

_OPEN = {"K1_AUTH": "off", "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "1000"}


def k1(*arguments: str, sign_in: bool = False) -> str:
    """Run a `k1` command and return what it printed. Without `sign_in` nobody has to, and nothing is limited."""
    command = [sys.executable, "-m", "k1_cli", *arguments]
    environment = {**os.environ, **({} if sign_in else _OPEN)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@contextmanager
def running_system(home: Path, *, sign_in: bool = False, devices: int = 0) -> Generator[RunningStack]:
    """Run `k1 up --detach`, and `k1 down` on exit."""
    k1("up", "--detach", "--sim-devices", str(devices), "--home", str(home), sign_in=sign_in)
    try:
        yield require_stack(home)
    finally:
        k1("down", "--home", str(home))
