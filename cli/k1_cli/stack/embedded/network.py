"""The network of a stack: the address on which it listens, and the names and certificates by which others reach it."""

import contextlib
import errno
import http.client
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k1_cli.stack.embedded.errors import StackError
from k1_platform.auth.tls import client_context

LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class Network:
    """Where the gateway, NATS, MQTT and the object store listen; the databases stay on loopback."""

    address: str = LOOPBACK
    names: tuple[str, ...] = ()
    """Host names and addresses by which others reach this machine; the first one is used in URLs."""
    certificate: Path | None = None
    """With a certificate the servers use TLS, without one plain text."""
    key: Path | None = None
    ca: Path | None = None
    """The CA that clients have to trust; None for a certificate of a public CA."""

    @property
    def host(self) -> str:
        """The host in URLs."""
        return self.names[0] if self.names else self.address

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names, and the address where others can use it."""
        own = () if _is_any(self.address) else (self.address,)
        return tuple(dict.fromkeys((*self.names, *own)))

    @property
    def is_private(self) -> bool:
        """Whether only this machine can reach the servers."""
        return ipaddress.ip_address(self.address).is_loopback

    def url(self, scheme: str, secure_scheme: str, port: int) -> str:
        """Return the URL of a server that listens on `port`."""
        chosen = scheme if self.certificate is None else secure_scheme
        return f"{chosen}://{bracketed(self.host)}:{port}"

    def listener(self, port: int) -> str:
        """Return `address:port` in the form of server configurations."""
        return f"{bracketed(self.address)}:{port}"


def http_connection(url: str, ca: Path | None, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection for probing a server of this machine; nothing is sent yet."""
    place = urlsplit(url)
    assert place.hostname is not None
    if place.scheme == "https":
        return http.client.HTTPSConnection(
            place.hostname, place.port, timeout=timeout_s, context=client_context(ca)
        )
    return http.client.HTTPConnection(place.hostname, place.port, timeout=timeout_s)


def bracketed(host: str) -> str:
    """Return the host in the form used before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def parse_listen_address(address: str) -> str:
    """Return an address to listen on in its usual notation.

    Raises:
        StackError: it is no IP address of this machine.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError as error:
        raise StackError(
            f"{address} is no IP address; listen on one of this machine, which `ip address` lists, or on 0.0.0.0"
        ) from error
    require_free_port(0, str(found))
    return str(found)


def check_host_names(address: str, names: Sequence[str]) -> None:
    """Check that the services on this machine reach the servers by the first name.

    Raises:
        StackError: there is no name although the servers listen on all addresses, or the name leads elsewhere.
    """
    if not names:
        if _is_any(address):
            raise StackError(
                f"say how others reach this machine when it listens on {address}: give its name or address with --name"
            )
        return
    try:
        found = {info[4][0] for info in socket.getaddrinfo(names[0], None)}
    except OSError as error:
        raise StackError(
            f"{names[0]} is not known here; add a line `{address} {names[0]}` to /etc/hosts"
        ) from error
    reached = any(_can_bind(str(each), 0) for each in found) if _is_any(address) else address in found
    if not reached:
        raise StackError(
            f"{names[0]} leads to {', '.join(map(str, sorted(found)))}, not to this stack on {address}; "
            "change the name service or /etc/hosts, or give another --name"
        )


def require_free_port(port: int, address: str, instead: str = "give another with --port") -> None:
    """Check that a server could listen on `port` now; `instead` says what to do where it is taken.

    Raises:
        StackError: it could not; the message says why, and what to do.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise StackError(f"there is no port {port}; give one from 1 to {_HIGHEST_PORT}")
    try:
        _bind(port, address)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is taken by another program on {address}; {instead}",
            errno.EACCES: f"port {port} needs more rights than you have; give one above 1023 with --port",
            errno.EADDRNOTAVAIL: f"{address} is no address of this machine; `ip address` lists them",
        }
        reason = reasons.get(error.errno or 0, f"cannot listen on {address}, port {port}: {error.strerror}")
        raise StackError(reason) from error


def _bind(port: int, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))


def _can_bind(address: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        _bind(port, address)
        return True
    return False


def _is_any(address: str) -> bool:
    return ipaddress.ip_address(address).is_unspecified
