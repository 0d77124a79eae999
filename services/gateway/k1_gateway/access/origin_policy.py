"""Checks the Host and the Origin of a request, against DNS rebinding and cross-site request forgery.

Any web page can make the browser of a user send requests, with the user's cookies where it is of the same site. So a
page of another origin may not change anything or open a WebSocket (Origin, Sec-Fetch-Site), and a request whose Host is
not the gateway's is rejected, as a DNS name of an attacker may point to the gateway's address.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from k1_gateway.errors import ProblemError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES: Final = frozenset({"/livez", "/readyz"})
"""Paths without a check of the Host: probes of load balancers send any Host, and these two reveal little."""
_OWN_PAGE: Final = frozenset({"same-origin", "none"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Decides by Host and Origin whether a request may continue."""

    hosts: frozenset[str]
    """Names and addresses of the gateway, normalised, without ports."""
    origins: frozenset[str]
    """Origins whose pages may change something, as browsers write them."""

    @classmethod
    def of(cls, hosts: Iterable[str], origins: frozenset[str]) -> Self:
        """Return the policy for these names and addresses, without ports, and for `localhost`."""
        return cls(frozenset(map(_normalise, hosts)) | {"localhost"}, origins)

    def middleware(self) -> Middleware:
        """Return the middleware: 421 for a Host of others, 403 for a page of another origin that would change something."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in _PROBES:
                self._require_host(request)
            if request.method not in _SAFE or _is_websocket(request):
                self._require_origin(request)  # a WebSocket begins with GET, and any page may open one
            return await handler(request)

        return check

    def _require_host(self, request: web.Request) -> None:
        # An absolute request target takes precedence over the header, so both must name this gateway.
        for host in {request.headers.get("Host", ""), request.host}:
            if not self._is_own_host(request, _split_host(host)[0]):
                detail = (
                    "This gateway is not known under the host that the request names. Use its address, or add the "
                    "name to K1_GATEWAY_ALLOWED_HOSTS."
                )
                raise ProblemError("host_not_allowed", HTTPStatus.MISDIRECTED_REQUEST, detail)

    def _is_own_host(self, request: web.Request, name: str) -> bool:
        if name in self.hosts:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or address == _local_address(request))

    def _require_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None:
            # Only very old browsers omit Origin here. Clients that are no browsers send neither header.
            allowed = request.headers.get("Sec-Fetch-Site", "none") in _OWN_PAGE
        else:
            allowed = origin in self.origins or _is_same(origin, request.host)
        if not allowed:
            detail = (
                "A page of another origin may not change anything here, nor open a WebSocket. If it is yours, add its origin to "
                "K1_GATEWAY_ALLOWED_ORIGINS."
            )
            raise ProblemError("origin_not_allowed", HTTPStatus.FORBIDDEN, detail)


def _is_websocket(request: web.Request) -> bool:
    """Return whether a browser would let any page open this connection and read it: CORS does not guard WebSockets."""
    return request.headers.get("Upgrade", "").strip().lower() == "websocket"


def _is_same(origin: str, host: str) -> bool:
    """Return whether the origin has this host. The scheme may differ: a proxy may terminate TLS."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or parts.hostname is None:
        return False
    name, given = _split_host(host)
    return (_normalise(parts.hostname), port or default) == (name, given or default)


def _split_host(host: str) -> tuple[str, int | None]:
    """Return the name or address, and the port where there is one."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    return _normalise(name), int(port) if port.isdecimal() else None


def _normalise(name: str) -> str:
    return name.strip("[]").lower().removesuffix(".")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _local_address(request: web.Request) -> IPv4Address | IPv6Address | None:
    """Return the gateway's own address of this connection. DNS rebinding cannot forge it in the Host header."""
    found = request.get_extra_info("sockname")
    return _address(str(found[0])) if found else None
