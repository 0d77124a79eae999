"""Keeps the allowances of callers in the key-value bucket RATE_LIMITS, so that all gateways count together.

Each state is changed by compare-and-set. While the broker does not answer, this gateway counts alone, so that a limit
holds for each gateway instead of for all of them; requests are never refused because of it.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final, Protocol

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_gateway.limits.gcra import Grant, Rate, take

_TIMEOUT_S: Final = 2.0
_ALONE_S: Final = 5.0
"""How long this gateway counts alone after the broker did not answer."""
_ATTEMPTS: Final = 16
"""Compare-and-set attempts: each failure means that another gateway took some of the same allowance."""
_MAX_STATES: Final = 10_000
_log = logging.getLogger(__name__)


class RateStore(Protocol):
    """Takes requests from the allowance of a key."""

    async def take(self, key: str, rate: Rate, wanted: int) -> Grant:
        """Take up to `wanted` requests."""
        ...


class LocalRates:
    """The allowances in the memory of this process; the states used least recently are removed first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._states: OrderedDict[str, int] = OrderedDict()

    async def take(self, key: str, rate: Rate, wanted: int) -> Grant:
        """Take up to `wanted` requests."""
        grant = take(rate, self._states.get(key), round(self._clock() * 1e6), wanted)
        self._states[key] = grant.full_at_us
        self._states.move_to_end(key)
        if len(self._states) > _MAX_STATES:
            self._states.popitem(last=False)
        return grant


class SharedRates:
    """The allowances in the bucket. The clocks of the gateways must agree; a second of difference is a second's rate."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self._bucket: KeyValue | None = None
        self._known: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Key -> state and revision that this gateway saw last, so that most changes need no read."""
        self._alone = LocalRates()
        self._alone_until_s = 0.0

    async def take(self, key: str, rate: Rate, wanted: int) -> Grant:
        """Take up to `wanted` requests, from the own count while the broker does not answer."""
        if time.monotonic() >= self._alone_until_s:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    return await self._take(_entry_name(key), rate, wanted)
            except (NatsError, TimeoutError, OSError) as error:
                self._alone_until_s = time.monotonic() + _ALONE_S
                _log.warning("rate limits are counted here alone", extra={"reason": repr(error)})
        return await self._alone.take(key, rate, wanted)

    async def _take(self, name: str, rate: Rate, wanted: int) -> Grant:
        if self._bucket is None:
            self._bucket = await self._jetstream.key_value(streams.RATE_LIMITS.name)
        bucket = self._bucket
        state = self._known.get(name)
        for _ in range(_ATTEMPTS):
            grant = take(rate, state[0] if state else None, round(time.time() * 1e6), wanted)
            if not grant.count and state and await self._read(bucket, name) == state:
                return grant  # nothing to write, and what is known is what is stored
            if grant.count:
                try:
                    value = str(grant.full_at_us).encode()
                    revision = await bucket.update(name, value, last=state[1] if state else 0)
                except KeyWrongLastSequenceError:
                    pass
                else:
                    self._remember(name, (grant.full_at_us, revision))
                    return grant
            state = await self._read(bucket, name)
        raise TimeoutError(f"the allowance was changed by others {_ATTEMPTS} times")

    async def _read(self, bucket: KeyValue, name: str) -> tuple[int, int] | None:
        try:
            entry = await bucket.get(name)
        except KeyNotFoundError:
            return None
        return int(entry.value or b"0"), entry.revision or 0

    def _remember(self, name: str, state: tuple[int, int]) -> None:
        self._known[name] = state
        self._known.move_to_end(name)
        if len(self._known) > _MAX_STATES:
            self._known.popitem(last=False)


def _entry_name(key: str) -> str:
    # A key may hold characters that a subject must not contain, such as the colons of an IPv6 address.
    return sha256(key.encode(errors="surrogatepass")).hexdigest()[:32]
