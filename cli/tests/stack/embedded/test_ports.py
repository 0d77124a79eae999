"""The ports that servers of a stack get."""

import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from k1_cli.stack.embedded.ports import free_port, is_free


def test_free_ports_differ_and_stay_clear_of_the_ephemeral_range() -> None:
    """Ports of servers are outside the ephemeral range, and two servers never get the same port."""
    chosen = [free_port() for _ in range(40)]
    assert len(set(chosen)) == len(chosen)
    assert max(chosen) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def test_a_port_chosen_by_another_process_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is reserved also before its server listens, until the process ends."""
    program = "from k1_cli.stack.embedded.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        draws = [taken - 15_000]
        free = secrets.randbelow
        monkeypatch.setattr(secrets, "randbelow", lambda count: draws.pop() if draws else free(count))
        assert free_port() != taken
        assert not draws
        other.communicate("\n")
    draws.append(taken - 15_000)
    assert free_port() == taken


def test_a_taken_preferred_port_is_passed_over() -> None:
    """The remembered port is kept when free, replaced when another program has it."""
    wanted = free_port()
    assert free_port(wanted) == wanted
    with socket.create_server(("127.0.0.1", wanted)):
        assert not is_free(wanted)
        assert free_port(wanted) != wanted
