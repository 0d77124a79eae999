"""Other users of the machine cannot see or reach a stack. As root, the tests try it as the user `nobody`."""

import json
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.mongo import MongoServer

ATTEMPT = """
import json, os, socket, sys
from pathlib import Path
os.setgroups([]); os.setgid({gid}); os.setuid({uid})
def outcome(work):
    try:
        return repr(work())
    except OSError as error:
        return type(error).__name__
home, mongo, processes = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
print(json.dumps({{
    "list": outcome(lambda: os.listdir(home)),
    "read": outcome((home / "credentials.json").read_text),
    "write": outcome(lambda: (home / "mine").write_text("")),
    "mongo": outcome(lambda: socket.socket(socket.AF_UNIX).connect(mongo)),
    "environments": [outcome(Path("/proc", pid, "environ").read_bytes) for pid in processes],
    "folders": [outcome(lambda: os.listdir(Path("/proc", pid, "cwd"))) for pid in processes],
}}))
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[EmbeddedStack]:
    """Run a stack on a home in a folder that all users may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("K1_TEST_SECRET", "for this user alone")
            with EmbeddedStack(Path(folder) / "home") as running:
                yield running


def attempt(stack: EmbeddedStack) -> dict[str, Any]:
    """Return what the user `nobody` can reach."""
    nobody = pwd.getpwnam("nobody")
    processes = [str(server.process.pid) for server in stack.servers]
    socket_file = str(stack.home.run / "mongo.sock")
    assert Path(socket_file).is_socket()
    program = ATTEMPT.format(uid=nobody.pw_uid, gid=nobody.pw_gid)
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-S", "-c", program, stack.home.root, socket_file, *processes],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_other_users_reach_nothing(stack: EmbeddedStack) -> None:
    """They reach no file of the home, no MongoDB (it has no passwords), no variable or folder of a process."""
    refused = "PermissionError"
    found = attempt(stack)
    names = [server.name for server in stack.servers]
    assert found == {
        **dict.fromkeys(("list", "read", "write", "mongo"), refused),
        "environments": [refused for _ in names],
        "folders": [refused for _ in names],
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root a server runs as somebody else")
def test_a_server_of_another_user_inherits_no_secret(stack: EmbeddedStack) -> None:
    """PostgreSQL refuses root and runs as `nobody`, so it gets none of our variables."""
    servers = {server.name: psutil.Process(server.process.pid) for server in stack.servers}
    assert servers["postgres"].uids().effective != 0
    assert "K1_TEST_SECRET" not in servers["postgres"].environ()
    assert "K1_TEST_SECRET" in servers["nats"].environ()


def test_the_home_is_closed_to_others(tmp_path: Path) -> None:
    """Also a home that `./k1` or an earlier release made with the usual rights."""
    fresh, old = Home(tmp_path / "fresh"), Home(tmp_path / "old")
    old.root.mkdir()
    (old.root / "setup.lock").touch()
    old.root.chmod(0o755)
    for home in (fresh, old):
        home.create()
        assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_a_folder_that_holds_other_things_is_left_as_it_is(tmp_path: Path) -> None:
    """`--home /tmp` must not close /tmp to other users."""
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(StackError, match=r"also holds letter.txt; choose a folder of its own"):
        Home(tmp_path).create()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]
    tmp_path.chmod(0o700)
    Home(tmp_path).create()


def test_a_home_with_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    """The kernel allows 107 bytes for a socket path; the other folder is private to the user and removed at the end."""
    home = tmp_path.joinpath(*["a-very-long-folder-name"] * 6)
    with EmbeddedStack(home) as stack:
        mongo = stack.server("mongo")
        assert isinstance(mongo, MongoServer)
        assert mongo.ready()
        socket_file = mongo.socket_file
        assert stat.S_IMODE(socket_file.parent.stat().st_mode) == 0o700
        assert home not in socket_file.parents
    assert not socket_file.parent.exists()
