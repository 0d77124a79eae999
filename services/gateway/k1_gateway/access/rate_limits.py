"""Rate limits by address, as there is no sign-in: how many requests per minute, and how many at the same time.

There is a token bucket for each address and each kind of request. Memory is bounded: beyond a number of callers, those
without a request in progress that have been inactive for longest are removed.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal

from k1_gateway.errors import ProblemError
from k1_gateway.settings import Allowance

LimitKind = Literal["uploads", "parts", "analyses", "simulations", "edits", "deployments", "streams"]
_MAX_CALLERS: Final = 10_000
_IPV6_NETWORK_BITS: Final = 64
_MINUTE_S: Final = 60.0
_ROUNDING: Final = 1e-6
"""The error of sums of floats: a caller that waited for Retry-After must not be rejected because of it."""


@dataclass(slots=True)
class _Caller:
    """The state of one address and one kind of request."""

    tokens: float
    at_s: float
    running: int = 0
    waiting: int = 0
    turn: asyncio.Condition = field(default_factory=asyncio.Condition)


class RateLimiter:
    """Admits requests within the allowances of their kinds."""

    def __init__(
        self, allowances: Mapping[LimitKind, Allowance], *, loopback_factor: int, clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds. Callers on this machine have `loopback_factor` times the allowance."""
        self._allowances = allowances
        self._factor = loopback_factor
        self._clock = clock
        self._callers: OrderedDict[tuple[LimitKind, str], _Caller] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    @asynccontextmanager
    async def admit(self, kind: LimitKind, remote: str | None) -> AsyncGenerator[dict[str, str]]:
        """Hold a place for one request and yield the RateLimit headers of its response.

        Raises:
            ProblemError: `rate_limited` (429), with Retry-After.
        """
        address, is_local = caller_of(remote)
        allowance = self._allowances[kind].times(self._factor if is_local else 1)
        caller = self._caller(kind, address, allowance)
        headers = self._take_token(kind, caller, allowance)
        await self._take_turn(kind, caller, allowance)
        try:
            yield headers
        finally:
            caller.running -= 1
            async with caller.turn:
                caller.turn.notify()

    def _caller(self, kind: LimitKind, address: str, allowance: Allowance) -> _Caller:
        key = (kind, address)
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = _Caller(allowance.burst, self._clock())
        self._callers.move_to_end(key)
        if len(self._callers) > _MAX_CALLERS:
            idle = next(
                (key for key, kept in self._callers.items() if not (kept.running or kept.waiting)), None
            )
            if idle is not None:
                del self._callers[idle]
        return caller

    def _take_token(self, kind: LimitKind, caller: _Caller, allowance: Allowance) -> dict[str, str]:
        now, per_s = self._clock(), allowance.per_minute / _MINUTE_S
        caller.tokens = min(allowance.burst, caller.tokens + (now - caller.at_s) * per_s)
        caller.at_s = now
        if caller.tokens < 1 - _ROUNDING:
            wait_s = math.ceil((1 - caller.tokens) / per_s)
            raise _rate_limited_problem(kind, wait_s, _headers(kind, caller, allowance))
        caller.tokens = max(caller.tokens - 1, 0.0)
        return _headers(kind, caller, allowance)

    async def _take_turn(self, kind: LimitKind, caller: _Caller, allowance: Allowance) -> None:
        if caller.running >= allowance.at_once and caller.waiting >= allowance.waiting:
            raise _rate_limited_problem(kind, 1, _headers(kind, caller, allowance))
        caller.waiting += 1
        try:
            async with asyncio.timeout(allowance.wait_s), caller.turn:
                await caller.turn.wait_for(lambda: caller.running < allowance.at_once)
                caller.running += 1
        except TimeoutError:
            raise _rate_limited_problem(kind, 1, _headers(kind, caller, allowance)) from None
        finally:
            caller.waiting -= 1


def caller_of(remote: str | None) -> tuple[str, bool]:
    """Return the key of the caller with this address, and whether it is this machine. An IPv6 /64 is one caller."""
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


def _headers(kind: LimitKind, caller: _Caller, allowance: Allowance) -> dict[str, str]:
    per_s = allowance.per_minute / _MINUTE_S
    window_s = math.ceil(allowance.burst / per_s)
    reset_s = math.ceil((allowance.burst - caller.tokens) / per_s)
    return {
        "RateLimit-Policy": f'"{kind}";q={allowance.burst};w={window_s}',
        "RateLimit": f'"{kind}";r={math.floor(caller.tokens)};t={reset_s}',
    }


def _rate_limited_problem(kind: LimitKind, wait_s: int, headers: dict[str, str]) -> ProblemError:
    detail = f"Too many {kind} from this address for the moment; try again in {wait_s} s."
    return ProblemError(
        "rate_limited", HTTPStatus.TOO_MANY_REQUESTS, detail, headers={**headers, "Retry-After": str(wait_s)}
    )
