"""Verifies API keys by asking accounts, and keeps each answer for as long as accounts allows."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

from k1_contracts.messages.accounts.users import AccessChanged, ClientInfo, VerifiedKey
from k1_gateway.access.identity import Identity

_MAX_KEPT: Final = 10_000
VerifyKey = Callable[[str, ClientInfo], Awaitable[VerifiedKey]]


class ApiKeys:
    """Verified keys. Only hashes of them are kept."""

    def __init__(self, verify: VerifyKey, clock: Callable[[], float] = time.time) -> None:
        """`verify` asks accounts and raises QueryError for an invalid key; `clock` returns seconds since the epoch."""
        self._verify = verify
        self._clock = clock
        self._kept: OrderedDict[bytes, VerifiedKey] = OrderedDict()
        self._changes = 0

    async def identify(self, key: str, client: ClientInfo) -> Identity:
        """Return who uses the key.

        Raises:
            QueryError: `key_invalid` (401), or accounts does not answer.
        """
        digest = sha256(key.encode()).digest()
        found = self._kept.get(digest)
        if found is None or found.cache_until.timestamp() <= self._clock():
            found = await self._ask(digest, key, client)
        actor = found.actor.model_copy(update={"address": client.address})
        return Identity(actor, key_id=found.key_id)

    def is_kept(self, key: str) -> bool:
        """Return whether the key can be verified without asking accounts."""
        found = self._kept.get(sha256(key.encode()).digest())
        return found is not None and found.cache_until.timestamp() > self._clock()

    async def _ask(self, digest: bytes, key: str, client: ClientInfo) -> VerifiedKey:
        changes = self._changes
        found = await self._verify(key, client)
        if changes == self._changes:  # else the key may have been revoked while the answer was on its way
            self._kept[digest] = found
            self._kept.move_to_end(digest)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return found

    def apply(self, change: AccessChanged) -> None:
        """Drop the keys that a change names, and those of a user whose access changed."""
        self._changes += 1
        dropped = [
            digest
            for digest, found in self._kept.items()
            if found.key_id in change.key_ids
            or (change.tokens_before is not None and found.actor.id == change.user_id)
        ]
        for digest in dropped:
            del self._kept[digest]
