"""`k1 up` on a disk that is full, or fills up."""

import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest

from cli.tests.stack.machine import Machine, running
from k1_cli.stack.embedded.disk import DiskMonitor
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.running_stack import find_stack
from tests.support.processes import is_alive
from tests.support.waiting import PATIENCE_S, wait_until


def test_a_disk_that_is_full_ends_nothing(machine: Machine) -> None:
    """A process is restarted although the state file cannot be written; that is written as soon as possible."""
    with running(machine):
        stack = find_stack(machine.home)
        assert stack is not None
        state = stack.home.state_file
        wait_until(lambda: replace_by_folder(state), "no file can take its place, as root neither")
        before = next(part.pid for part in stack.services if part.name == "ingest")
        assert before is not None
        os.kill(before, signal.SIGKILL)
        url = next(f"http://127.0.0.1:{part.port}" for part in stack.services if part.name == "ingest")
        wait_until(lambda: not is_alive(before), "ingest is gone")
        wait_until(lambda: answers(url), "ingest is back")
        state.rmdir()
        wait_until(state.is_file, "the state is written")
        after = {part["name"]: part["pid"] for part in machine.status()["services"]}
        assert after["ingest"] != before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_messages_that_cannot_be_written_end_nothing(machine: Machine) -> None:
    """A detached stack writes its messages to a log, which a full disk refuses: it starts, restarts and stops."""
    with Path("/dev/full").open("w") as full, running(machine, stderr=full) as up:
        before = machine.pids()["ingest"]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: machine.pids().get("ingest", before) != before, "ingest starts again")
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=PATIENCE_S)


def test_a_disk_without_room_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, and the error says what is free, what is needed and what to do."""
    free = shutil.disk_usage(tmp_path)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(StackError) as refused:
        EmbeddedStack(tmp_path / "home").start()
    assert str(refused.value) == (
        f"the disk of {tmp_path / 'home'} has 100 MB free and a start needs 256 MB; free some space, "
        "or choose a home on another disk with --home"
    )
    assert not list((tmp_path / "home").rglob("*.json"))


def test_a_disk_that_fills_up_is_noticed_and_so_is_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each callback is called once: a nearly full disk does not cause repeated restarts."""
    seen: list[str] = []
    watch = DiskMonitor(tmp_path, on_full=lambda: seen.append("full"), on_room=lambda: seen.append("room"))
    usage = shutil.disk_usage(tmp_path)
    for free in (
        10**9,
        10_000_000,
        1_000_000,
        0,
        5_000_000,
        3_000_000,
        63_000_000,
        10**9,
        63_000_000,
        0,
        10**8,
    ):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        watch.check()
        seen.append(str(free))
    events = [entry if entry.isalpha() else "" for entry in seen]
    assert [e for e in events if e] == ["full", "room", "full", "room"]
    assert [seen[seen.index("full") + 1], seen[seen.index("room") + 1]] == ["1000000", "1000000000"]


def replace_by_folder(file: Path) -> bool:
    """Return False where the supervisor writes the file at this moment."""
    file.unlink(missing_ok=True)
    try:
        file.mkdir()
    except FileExistsError:
        return False
    return True


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def test_a_full_disk_is_named(machine: Machine) -> None:
    """An error of the system says what to do and where to look further."""
    draft = machine.home / "run" / "ports.new"
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.symlink_to("/dev/full")
    code, _, err = machine.run("up")
    draft.unlink()
    assert code == 1
    assert err.splitlines()[-1] == (
        "k1: No space left on device; free some space, or choose a home on another disk with --home; "
        f"`./k1 doctor --home {machine.home}` looks for what is wrong with this machine"
    )
