"""Reads and writes the table of API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from k1_contracts.actors import Role
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.users import KeyView
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = "id, name, role, hint, created_at, expires_at, last_used_at"
_VALID: Final = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"
_USE_NOTED_EVERY: Final = timedelta(minutes=1)


class KeyOwner(NamedTuple):
    """What a valid key says."""

    key_id: str
    user_id: str
    user_name: str
    role: Role
    owner_role: Role
    expires_at: datetime | None


async def insert_key(
    connection: Connection,
    user_id: str,
    *,
    name: str,
    role: Role,
    hashed: bytes,
    hint: str,
    at: datetime,
    expires_at: datetime | None,
) -> KeyView:
    """Add a key and return it."""
    row = await connection.fetchrow(
        "INSERT INTO accounts.api_keys (id, user_id, name, role, hash, hint, created_at, expires_at)"  # noqa: S608  constants
        f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}",
        new_id("key"),
        user_id,
        name,
        role,
        hashed,
        hint,
        at,
        expires_at,
    )
    assert row is not None
    return KeyView.model_validate(dict(row))


async def count_keys(connection: Connection, user_id: str, now: datetime) -> int:
    """Return how many valid keys a user has."""
    counted = await connection.fetchval(
        f"SELECT count(*) FROM accounts.api_keys WHERE user_id = $1 AND {_VALID}",  # noqa: S608  a constant
        user_id,
        now,
    )
    return int(counted or 0)


async def list_keys(
    connection: Connection, user_id: str, now: datetime, *, after: str | None, limit: int
) -> Sequence[KeyView]:
    """Return a page of a user's valid keys, the newest first, with one more than `limit` if there is a next page."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM accounts.api_keys WHERE user_id = $1 AND {_VALID}"  # noqa: S608  constants
        " AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        user_id,
        now,
        after,
        limit + 1,
    )
    return [KeyView.model_validate(dict(row)) for row in rows]


async def revoke_key(connection: Connection, user_id: str, key_id: str, at: datetime) -> bool:
    """Revoke a key of a user; return False if there is no such valid key."""
    status = await connection.execute(
        "UPDATE accounts.api_keys SET revoked_at = $3 WHERE user_id = $1 AND id = $2 AND revoked_at IS NULL",
        user_id,
        key_id,
        at,
    )
    return status == "UPDATE 1"


async def find_owner(connection: Connection, hashed: bytes, now: datetime) -> KeyOwner | None:
    """Return whose key this is, if it is valid and its owner may sign in."""
    row = await connection.fetchrow(
        "SELECT k.id, u.id, u.name, k.role, u.role, k.expires_at FROM accounts.api_keys k"
        " JOIN accounts.users u ON u.id = k.user_id WHERE k.hash = $1 AND u.disabled_at IS NULL"
        " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)",
        hashed,
        now,
    )
    return None if row is None else KeyOwner(*row)


async def note_use(connection: Connection, key_id: str, at: datetime) -> None:
    """Record that a key is in use, at most once a minute."""
    await connection.execute(
        "UPDATE accounts.api_keys SET last_used_at = $2"
        " WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)",
        key_id,
        at,
        at - _USE_NOTED_EVERY,
    )
