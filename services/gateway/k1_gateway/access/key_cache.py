"""Caches the public keys of an issuer of tokens, and fetches them anew for an unknown key id, but not too often."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from k1_gateway.access.tokens import Key

_REFRESH_S: Final = 600.0
"""A revoked key disappears from the issuer's set; it is noticed after so long."""
_PAUSE_S: Final = 5.0
"""Between two fetches: anyone can send tokens with unknown key ids."""
_log = logging.getLogger(__name__)

R = TypeVar("R")
FetchKeys = Callable[[], Awaitable[tuple[R, dict[str, Key]]]]


class KeyCache(Generic[R]):
    """The keys of one issuer, with what else its key set says."""

    def __init__(self, fetch: FetchKeys[R], clock: Callable[[], float] = time.monotonic) -> None:
        """`fetch` returns what the key set says besides the keys, and the keys by id; `clock` returns seconds."""
        self._fetch = fetch
        self._clock = clock
        self._found: tuple[R, dict[str, Key]] | None = None
        self._fetched_s = self._tried_s = -_REFRESH_S
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> tuple[R, Key] | None:
        """Return the key with this id; None where the issuer has none.

        Raises:
            Exception: the issuer does not answer, and no keys are known.
        """
        async with self._lock:
            await self._refresh_when_due(key_id)
        if self._found is None or key_id not in self._found[1]:
            return None
        return self._found[0], self._found[1][key_id]

    async def _refresh_when_due(self, key_id: str) -> None:
        now = self._clock()
        is_known = self._found is not None and key_id in self._found[1]
        is_due = not is_known or now - self._fetched_s >= _REFRESH_S
        if not is_due or (self._found is not None and now - self._tried_s < _PAUSE_S):
            return
        self._tried_s = now
        try:
            self._found = await self._fetch()
        except Exception as error:
            if self._found is None:
                raise
            _log.warning("the known keys stay in use", extra={"reason": repr(error)})
        else:
            self._fetched_s = now
