"""Ports for the servers."""

import secrets
import socket
import sys
from pathlib import Path

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.network import LOOPBACK, check_port

_FIRST = 15_000
_TRIES = 1_000
_reserved: dict[int, socket.socket] = {}


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of the address now."""
    try:
        check_port(port, address)
    except StackError:
        return False
    return True


def free_port(preferred: int | None = None, address: str = LOOPBACK) -> int:
    """`preferred` when it is free, else another free port of the address.

    Ports inside the kernel's ephemeral range are left alone: a client that keeps reconnecting to a dead
    server there can be given that very port as its own, connect to itself and so keep the server out.
    Drawn at random and reserved while this process lives: a server listens seconds after its port was chosen, and
    stacks started together would race for it otherwise; no process gives the same twice.
    """
    if preferred is not None and is_free(preferred, address):
        _reserve(preferred)  # where another process has: it ran on the same home
        return preferred
    end = _first_ephemeral()
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(end - _FIRST)
        if is_free(port, address) and _reserve(port):
            return port
    raise OSError(f"hardly a free port of {address} between {_FIRST} and {end}")


def _reserve(port: int) -> bool:
    """Whether it is this process's from now on; another's is reserved until that ends."""
    if port in _reserved:
        return False
    if sys.platform == "linux":
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0k1-port-{port}")  # a name without a file: the kernel takes it back with the process
        except OSError:
            mark.close()
            return False
        _reserved[port] = mark
    return True


def _first_ephemeral() -> int:
    try:
        limits = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return 32_768
    return max(int(limits.split()[0]), _FIRST + 1_000)
