"""Runs the command line in this process, on a home whose stack is what the test provides."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from k1_cli.app import main
from k1_cli.stack.embedded.home import Home
from k1_platform.auth.secret_files import write_atomically


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of one run of the command line."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.stdout)


def run_k1(capfd: pytest.CaptureFixture[str], *arguments: str) -> CommandResult:
    """Run the command line in this process; a process for each run would cost half a second."""
    before = sys.argv
    sys.argv = ["k1", *arguments]
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = before
    out, err = capfd.readouterr()
    return CommandResult(int(ended.value.code or 0), out, err)


@contextmanager
def home_of_stack(folder: Path, url: str, environment: Mapping[str, str] | None = None) -> Iterator[Home]:
    """Provide a home on which a stack seems to run: its gateway is at `url`, its services have the environment."""
    home = Home(folder)
    home.create()
    home.lock()
    state = {
        "pid": os.getpid(),
        "url": url,
        "version": "1",
        "servers": [],
        "services": [],
        "simulated": [],
        "environment": dict(environment or {}),
    }
    write_atomically(home.state_file, json.dumps(state))
    yield home
    home.unlock()
