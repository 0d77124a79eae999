"""Chooses free ports for the servers and reserves them for this process."""

import secrets
import socket
import sys
from pathlib import Path

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.network import LOOPBACK, require_free_port

_FIRST = 15_000
_TRIES = 1_000
_reserved: dict[int, socket.socket] = {}


def is_free(port: int, address: str = LOOPBACK) -> bool:
    """Return whether a server could listen on `port` of the address now."""
    try:
        require_free_port(port, address)
    except StackError:
        return False
    return True


def free_port(preferred: int | None = None, address: str = LOOPBACK) -> int:
    """Return `preferred` when it is free, else another free port of the address.

    Ports of the kernel's ephemeral range are not used: a client that keeps reconnecting to a stopped server could get
    the server's port as its local port, connect to itself and so block the server.
    The port is random and reserved while this process lives: a server listens seconds after its port was chosen, and
    stacks that start together would otherwise choose the same one. A process never returns a port twice.
    """
    if preferred is not None and is_free(preferred, address):
        _reserve(preferred)  # it may fail: another process on the same home may have reserved it
        return preferred
    end = _first_ephemeral()
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(end - _FIRST)
        if is_free(port, address) and _reserve(port):
            return port
    raise OSError(f"hardly a free port of {address} between {_FIRST} and {end}")


def _reserve(port: int) -> bool:
    """Reserve a port until this process ends; return False where it is reserved already, here or by another one."""
    if port in _reserved:
        return False
    if sys.platform == "linux":
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0k1-port-{port}")  # an abstract name: the kernel frees it with the process
        except OSError:
            reservation.close()
            return False
        _reserved[port] = reservation
    return True


def _first_ephemeral() -> int:
    try:
        limits = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return 32_768
    return max(int(limits.split()[0]), _FIRST + 1_000)
