"""Loopback ports for the servers."""

import secrets
import socket
from pathlib import Path

_FIRST = 15_000
_TRIES = 1_000
_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback interface now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """`preferred` when it is free, else another free port.

    Ports inside the kernel's ephemeral range are left alone: a client that keeps reconnecting to a dead
    server there can be given that very port as its own, connect to itself and so keep the server out.
    Drawn at random, so that stacks started together do not race for one; no process gives the same twice.
    """
    if preferred is not None and is_free(preferred):
        return preferred
    end = _first_ephemeral()
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(end - _FIRST)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"hardly a free loopback port between {_FIRST} and {end}")


def _first_ephemeral() -> int:
    try:
        limits = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return 32_768
    return max(int(limits.split()[0]), _FIRST + 1_000)
