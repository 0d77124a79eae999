"""Which requests may come in at all: by the Host that they name, and by the page that makes them.

Until there is sign-in, whoever reaches the gateway may use it. A browser on a machine that reaches it can be made to
send requests by any page. Against that: a page of another origin may not change anything (Origin, Sec-Fetch-Site),
and a name that was rebound to the gateway's address is refused (Host).
"""

from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from k1_gateway.problems import ProblemError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES: Final = frozenset({"/livez", "/readyz"})
"""Answered whatever the Host: a load balancer's probe names what it likes, and these two tell little."""
_OWN_PAGE: Final = frozenset({"same-origin", "none"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Origins:
    """The lists of an operator, and the middleware that applies them."""

    def __init__(self, hosts: Iterable[str], origins: frozenset[str]) -> None:
        """`hosts`: names and addresses without ports; `origins`: pages that may call, as browsers write them."""
        self._hosts = frozenset(map(_plain, hosts)) | {"localhost"}
        self._origins = origins

    def middleware(self) -> Middleware:
        """Refuses foreign hosts with 421, and foreign pages that would change something with 403."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path not in _PROBES:
                self._require_host(request)
            if request.method not in _SAFE:
                self._require_origin(request)
            return await handler(request)

        return check

    def _require_host(self, request: web.Request) -> None:
        # An absolute request target takes precedence over the header; both must be ours.
        for host in {request.headers.get("Host", ""), request.host}:
            if not self._is_ours(request, _split(host)[0]):
                detail = (
                    "This gateway is not known under the host that the request names. Use its address, or add the "
                    "name to K1_GATEWAY_ALLOWED_HOSTS."
                )
                raise ProblemError("host_not_allowed", HTTPStatus.MISDIRECTED_REQUEST, detail)

    def _is_ours(self, request: web.Request, name: str) -> bool:
        if name in self._hosts:
            return True
        address = _address(name)
        return address is not None and (address.is_loopback or address == _arrived_at(request))

    def _require_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None:
            # Browsers name the origin of every such request but few of the oldest; other clients name neither.
            allowed = request.headers.get("Sec-Fetch-Site", "none") in _OWN_PAGE
        else:
            allowed = origin in self._origins or _is_same(origin, request.host)
        if not allowed:
            detail = (
                "A page of another origin may not change anything here. If it is yours, add its origin to "
                "K1_GATEWAY_ALLOWED_ORIGINS."
            )
            raise ProblemError("origin_not_allowed", HTTPStatus.FORBIDDEN, detail)


def _is_same(origin: str, host: str) -> bool:
    """Whether a page came from this host. The scheme may differ: TLS may end in a proxy before the gateway."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or parts.hostname is None:
        return False
    name, given = _split(host)
    return (_plain(parts.hostname), port or default) == (name, given or default)


def _split(host: str) -> tuple[str, int | None]:
    """Return the name or address, and the port where there is one."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    return _plain(name), int(port) if port.isdecimal() else None


def _plain(name: str) -> str:
    return name.strip("[]").lower().removesuffix(".")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _arrived_at(request: web.Request) -> IPv4Address | IPv6Address | None:
    """Return the address of ours that the client connected to: a name cannot be rebound to spell it."""
    found = request.get_extra_info("sockname")
    return _address(str(found[0])) if found else None
