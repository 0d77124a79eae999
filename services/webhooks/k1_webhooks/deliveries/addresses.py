"""Keeps deliveries away from addresses that only this service can reach (server-side request forgery).

The check is made where a connection is opened, on the address that it goes to: a name may resolve to another address
each time it is asked.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

_NAT64: Final = ip_network("64:ff9b::/96")
_SIX_TO_FOUR: Final = ip_network("2002::/16")
_TEREDO: Final = ip_network("2001::/32")


class AddressNotAllowedError(OSError):
    """The address is not one of the public internet."""


def url_problem(url: str, *, allow_private: bool) -> str | None:
    """Return what is wrong with the URL of a webhook, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "This is no URL; write https://host/path."
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "The URL needs a host, and no user name, password or fragment."
    if parts.scheme != "https" and not allow_private:
        return "The URL must begin with https://, because the content of events is not public."
    address = _literal(host)
    if not allow_private and (address is not None and not is_public(address)):
        return f"{host} is not a public address. An operator may allow it: K1_WEBHOOKS_ALLOW_PRIVATE."
    if not allow_private and (host == "localhost" or host.endswith(".localhost")):
        return "localhost is this service's own machine. An operator may allow it: K1_WEBHOOKS_ALLOW_PRIVATE."
    return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the address, and an IPv4 address that is embedded in it, belongs to the public internet."""
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(embedded)
    return address.is_global and not address.is_multicast


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return address.sixtofour
    return address.teredo[1] if address in _TEREDO and address.teredo else None


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host writes, also in the forms that the system's resolver takes: 127.1, 0x7f000001."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


class PublicResolver(AbstractResolver):
    """A resolver that returns public addresses only."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the public addresses of a host.

        Raises:
            AddressNotAllowedError: it has none.
        """
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if is_public(ip_address(each["host"].partition("%")[0]))]
        if not public:
            raise AddressNotAllowedError(f"{host} has no public address")
        return public

    @override
    async def close(self) -> None:
        await self._resolver.close()
