"""Names the caller whose allowance a request consumes: the user, or the network address of one who did not sign in."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from k1_contracts.actors import Actor

_IPV6_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class RateCaller:
    """Who is counted, and whether the request comes from this machine."""

    key: str
    is_local: bool


def caller_of(remote: str | None, actor: Actor | None = None) -> RateCaller:
    """Return the caller of a request from this address. An IPv6 /64 is one caller; so are all clients of one user."""
    address, is_local = _network_of(remote)
    if actor is None or actor.kind == "local":
        return RateCaller(address, is_local)
    kind = "user" if actor.kind == "key" else actor.kind  # the keys of a user share the user's allowance
    return RateCaller(f"{kind}:{actor.id}", is_local)


def _network_of(remote: str | None) -> tuple[str, bool]:
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return "unknown", False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return "loopback", True
    if isinstance(address, IPv6Address):
        return str(IPv6Address(int(address) >> _IPV6_NETWORK_BITS << _IPV6_NETWORK_BITS)), False
    return str(address), False
