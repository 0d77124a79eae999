"""Limits how many requests a caller may send per minute, and how many at the same time.

There is an allowance for each caller and each kind of request. The requests per minute are counted by all gateways
together; a gateway takes a few at a time, so that most requests need no message. Those at the same time are counted by
each gateway. Memory is bounded: beyond a number of callers, those without a request in progress that have been inactive
for longest are removed.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from k1_contracts.actors import Actor
from k1_gateway.errors import ProblemError
from k1_gateway.limits.callers import caller_of
from k1_gateway.limits.gcra import Grant, Rate
from k1_gateway.limits.shared_rates import RateStore
from k1_gateway.settings import Allowance, LimitKind

_MAX_CALLERS: Final = 10_000
_CHUNK_SHARE: Final = 20
"""A gateway takes this part of a burst at once. What it has taken and not used is lost to the other gateways, and may be
used later than it was counted: together they admit at most a burst, the rate, and one such part for each gateway."""


@dataclass(slots=True)
class _Caller:
    """The state of one caller and one kind of request."""

    taken: int = 0
    """Requests that were taken from the shared allowance and not used yet."""
    grant: Grant | None = None
    """The last answer of the shared allowance."""
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: int = 0
    waiting: int = 0
    turn: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.waiting or self.taking.locked())


class RateLimiter:
    """Admits requests within the allowances of their kinds."""

    def __init__(
        self, allowances: Mapping[LimitKind, Allowance], *, loopback_factor: int, store: RateStore
    ) -> None:
        """Callers on this machine have `loopback_factor` times the allowance."""
        self._allowances = {
            is_local: {
                kind: each.times(loopback_factor if is_local else 1) for kind, each in allowances.items()
            }
            for is_local in (False, True)
        }
        self._store = store
        self._callers: OrderedDict[tuple[LimitKind, str, bool], _Caller] = OrderedDict()

    def __len__(self) -> int:
        return len(self._callers)

    @asynccontextmanager
    async def admit(
        self, kind: LimitKind, remote: str | None, actor: Actor | None = None
    ) -> AsyncGenerator[dict[str, str]]:
        """Hold a place for one request and yield the RateLimit headers of its response.

        Raises:
            ProblemError: `rate_limited` (429), with Retry-After.
        """
        who = caller_of(remote, actor)
        allowance = self._allowances[who.is_local][kind]
        caller = self._caller(kind, who.key, is_local=who.is_local)
        # Allowances of different sizes are counted apart, as one count cannot hold for both.
        headers = await self._take_one(f"{kind}:{int(who.is_local)}:{who.key}", kind, caller, allowance)
        await self._take_turn(kind, caller, allowance, headers)
        try:
            yield headers
        finally:
            caller.running -= 1
            if caller.waiting:
                async with caller.turn:
                    caller.turn.notify()

    def _caller(self, kind: LimitKind, key: str, *, is_local: bool) -> _Caller:
        entry = (kind, key, is_local)
        caller = self._callers.get(entry)
        if caller is None:
            caller = self._callers[entry] = _Caller()
        self._callers.move_to_end(entry)
        if len(self._callers) > _MAX_CALLERS:
            idle = next((kept for kept, state in self._callers.items() if state.is_idle), None)
            if idle is not None:
                del self._callers[idle]
        return caller

    async def _take_one(
        self, name: str, kind: LimitKind, caller: _Caller, allowance: Allowance
    ) -> dict[str, str]:
        rate = Rate(allowance.per_minute, allowance.burst)
        async with caller.taking:
            if not caller.taken:
                wanted = max(1, allowance.burst // _CHUNK_SHARE)
                caller.grant = await self._store.take(name, rate, wanted)
                caller.taken = caller.grant.count
            assert caller.grant is not None
            headers = _headers(kind, max(caller.taken - 1, 0), caller.grant, rate)
            if not caller.taken:
                raise _rate_limited_problem(kind, math.ceil(caller.grant.wait_s), headers)
            caller.taken -= 1
        return headers

    async def _take_turn(
        self, kind: LimitKind, caller: _Caller, allowance: Allowance, headers: dict[str, str]
    ) -> None:
        if caller.running >= allowance.at_once and caller.waiting >= allowance.waiting:
            raise _rate_limited_problem(kind, 1, headers)
        if caller.running < allowance.at_once and not caller.waiting:
            caller.running += 1
            return
        caller.waiting += 1
        try:
            async with asyncio.timeout(allowance.wait_s), caller.turn:
                await caller.turn.wait_for(lambda: caller.running < allowance.at_once)
                caller.running += 1
        except TimeoutError:
            raise _rate_limited_problem(kind, 1, headers) from None
        finally:
            caller.waiting -= 1


def _headers(kind: LimitKind, taken: int, grant: Grant, rate: Rate) -> dict[str, str]:
    """Return the headers after a request; `taken` is what this gateway still holds of the allowance."""
    remaining = min(rate.burst, grant.remaining + taken)
    return {
        "RateLimit-Policy": f'"{kind}";q={rate.burst};w={math.ceil(rate.window_s)}',
        "RateLimit": f'"{kind}";r={remaining};t={math.ceil(grant.reset_s)}',
    }


def _rate_limited_problem(kind: LimitKind, wait_s: int, headers: dict[str, str]) -> ProblemError:
    wait_s = max(wait_s, 1)
    detail = f"Too many {kind} from you for the moment; try again in {wait_s} s."
    return ProblemError(
        "rate_limited", HTTPStatus.TOO_MANY_REQUESTS, detail, headers={**headers, "Retry-After": str(wait_s)}
    )
