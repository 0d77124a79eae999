"""Child processes of a stack, and those that an earlier stack has left."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.processes import Command, ManagedProcess
from tests.support.processes import is_alive
from tests.support.waiting import wait_until


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ManagedProcess]:
    home = Home(tmp_path)
    home.create()
    process = ManagedProcess(home, "sleeper")
    yield process
    process.stop()


@pytest.fixture
def predecessor(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[psutil.Process]:
    """Run a process that counts as the predecessor; its parent lives and never reaps it."""
    parent = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {request.param!r}], stdout=subprocess.PIPE)
child.stdout.read(1)
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        found = psutil.Process(int(running.stdout.readline()))
        record = {"pid": found.pid, "created": found.create_time()}
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / "sleeper.pid").write_text(json.dumps(record))
        yield found
        running.kill()


SLEEP = Command((sys.executable, "-c", "import time; time.sleep(600)"))
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout.write("x")
sys.stdout.flush()
time.sleep(600)
"""


@pytest.mark.parametrize("predecessor", [""], indirect=True)
def test_a_predecessor_that_is_a_zombie_has_ended(
    process: ManagedProcess, predecessor: psutil.Process
) -> None:
    """In a container without an init process zombies stay listed for ever."""
    while predecessor.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    process.start(SLEEP)
    assert process.alive


@pytest.mark.parametrize("predecessor", [STUBBORN], indirect=True)
def test_a_predecessor_that_does_not_stop_is_ended(
    process: ManagedProcess, predecessor: psutil.Process
) -> None:
    """It holds the files that the new one needs."""
    process.start(SLEEP)
    assert process.alive
    assert predecessor.status() == psutil.STATUS_ZOMBIE


def test_a_child_that_ignores_its_signal_is_killed_with_its_own_children(tmp_path: Path) -> None:
    """A stop ends also a process that ignores signals, and kills its whole session."""
    home = Home(tmp_path)
    home.create()
    process = ManagedProcess(home, "stubborn")
    process.start(Command(("/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $!; while :; do sleep 1; done")))
    wait_until(process.log_tail, "it has a child")
    pids = [process.pid, int(process.log_tail())]
    process.stop(patience=0.2)
    assert process.exit_code == -signal.SIGKILL
    wait_until(lambda: not any(is_alive(pid) for pid in pids if pid), "both end")
