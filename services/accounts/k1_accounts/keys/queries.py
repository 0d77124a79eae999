"""Responds to queries of users about their own API keys, and to the gateway, which verifies keys."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_accounts import errors
from k1_accounts.actors import require_account
from k1_accounts.audit import write_audit
from k1_accounts.keys import store
from k1_accounts.revocations import AccessNotifier, store_revocation
from k1_accounts.tokens import KEY_PREFIX, hash_secret, new_secret
from k1_accounts.users.store import get_user
from k1_contracts.actors import Actor, role_includes
from k1_contracts.messages.accounts.users import (
    AccessChanged,
    CreateKey,
    KeyCreated,
    KeyPage,
    KeyRevoked,
    ListApiKeys,
    RevokeKey,
    VerifiedKey,
    VerifyKey,
)
from k1_platform.cursors import cursor_after, row_before
from k1_platform.postgres.pool import Pool

MOST_KEYS: Final = 50
_CACHED: Final = timedelta(seconds=30)
"""How long a gateway uses a response; a revocation that it misses has an effect after that."""
_HINT_LENGTH: Final = 8
_WALK: Final = "keys"


@dataclass(frozen=True, slots=True)
class KeyQueries:
    """Responds from the table of keys."""

    pool: Pool
    notifier: AccessNotifier
    clock: Callable[[], datetime]

    async def list_keys(self, query: ListApiKeys) -> KeyPage:
        """Return a page of the actor's keys."""
        actor, at, after = require_account(), self.clock(), row_before(query.cursor, _WALK, by_time=False)
        async with self.pool.acquire() as connection:
            total = await store.count_keys(connection, actor.id, at)
            found = await store.list_keys(
                connection, actor.id, at, after=after and after.id, limit=query.limit
            )
        page = list(found[: query.limit])
        more = cursor_after(_WALK, page[-1].id) if len(found) > query.limit else None
        return KeyPage(total=total, items=page, next_cursor=more)

    async def create(self, query: CreateKey) -> KeyCreated:
        """Make a key; the secret is in the response only.

        Raises:
            QueryError: `role_too_high` (403), `too_many_keys` (409).
        """
        actor, at = require_account(), self.clock()
        if not role_includes(actor.role, query.role):
            raise errors.role_too_high(query.role, actor.role)
        secret = new_secret(KEY_PREFIX)
        days = query.expires_in_days
        async with self.pool.acquire() as connection, connection.transaction():
            # The lock on the user makes concurrent calls count one after the other.
            if await get_user(connection, actor.id, lock=True) is None:
                raise errors.no_account()
            if await store.count_keys(connection, actor.id, at) >= MOST_KEYS:
                raise errors.too_many_keys(MOST_KEYS)
            key = await store.insert_key(
                connection,
                actor.id,
                name=query.name,
                role=query.role,
                hashed=hash_secret(secret),
                hint=secret[:_HINT_LENGTH],
                at=at,
                expires_at=None if days is None else at + timedelta(days=days),
            )
            await write_audit(
                connection, "key_created", actor.id, at=at, key_id=key.id, name=key.name, role=key.role
            )
        return KeyCreated(key=key, secret=secret)

    async def revoke(self, query: RevokeKey) -> KeyRevoked:
        """Revoke one of the actor's keys.

        Raises:
            QueryError: `key_not_found` (404).
        """
        actor, at = require_account(), self.clock()
        change = AccessChanged(user_id=actor.id, key_ids=[query.key_id], at=at)
        async with self.pool.acquire() as connection, connection.transaction():
            if not await store.revoke_key(connection, actor.id, query.key_id, at):
                raise errors.key_not_found(query.key_id)
            await store_revocation(connection, change)
            await write_audit(connection, "key_revoked", actor.id, at=at, key_id=query.key_id)
        await self.notifier.publish([change])
        return KeyRevoked(key_id=query.key_id)

    async def verify(self, query: VerifyKey) -> VerifiedKey:
        """Return whose key this is, for the gateway.

        Raises:
            QueryError: `key_invalid` (401).
        """
        at = self.clock()
        async with self.pool.acquire() as connection:
            owner = await store.find_owner(connection, hash_secret(query.key), at)
            if owner is None:
                raise errors.key_invalid()
            await store.note_use(connection, owner.key_id, at)
        role = owner.role if role_includes(owner.owner_role, owner.role) else owner.owner_role
        actor = Actor(
            kind="key", id=owner.user_id, name=owner.user_name, role=role, address=query.client.address
        )
        until = at + _CACHED if owner.expires_at is None else min(at + _CACHED, owner.expires_at)
        return VerifiedKey(key_id=owner.key_id, actor=actor, cache_until=until)
