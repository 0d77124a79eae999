"""Reads and writes the tables of users, passwords and linked identities."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from k1_contracts.actors import Role
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.users import ListUsers, UserView
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = """
    u.id, u.email, u.name, u.role, u.skill_level, u.locale, u.created_at, u.updated_at, u.last_sign_in_at,
    u.email_verified_at IS NOT NULL AS email_verified, u.disabled_at IS NOT NULL AS disabled,
    EXISTS (SELECT FROM accounts.passwords p WHERE p.user_id = u.id) AS has_password,
    ARRAY(SELECT DISTINCT provider FROM accounts.identities i WHERE i.user_id = u.id ORDER BY 1) AS providers
"""
_CHANGEABLE: Final = frozenset({"name", "role", "skill_level", "locale"})


def normal_email(email: str) -> str:
    """Return the form in which an address is stored and compared."""
    return email.lower()


async def get_user(connection: Connection, user_id: str, *, lock: bool = False) -> UserView | None:
    """Return a user; with `lock` nobody else changes the row until the transaction ends."""
    return await _fetch_one(connection, "u.id = $1", user_id, lock=lock)


async def find_user(connection: Connection, email: str, *, lock: bool = False) -> UserView | None:
    """Return the user with this address."""
    return await _fetch_one(connection, "u.email = $1", normal_email(email), lock=lock)


async def find_by_identity(connection: Connection, provider: str, subject: str) -> UserView | None:
    """Return the user to whom an identity at a provider is linked."""
    user_id = await connection.fetchval(
        "SELECT user_id FROM accounts.identities WHERE provider = $1 AND subject = $2", provider, subject
    )
    return None if user_id is None else await get_user(connection, user_id)


async def list_users(
    connection: Connection, query: ListUsers, after: str | None
) -> tuple[int, Sequence[UserView]]:
    """Return how many users match, and a page of them, with one more than `limit` if there is a next page."""
    pattern = None if query.search is None else f"%{_escape_like(query.search.lower())}%"
    where = """
        ($1::text IS NULL OR lower(u.name) LIKE $1 OR u.email LIKE $1) AND ($2::text IS NULL OR u.role = $2)
        AND ($3::boolean IS NULL OR (u.disabled_at IS NOT NULL) = $3)
    """
    chosen = (pattern, query.role, query.disabled)
    total = await connection.fetchval(f"SELECT count(*) FROM accounts.users u WHERE {where}", *chosen)  # noqa: S608  constants
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM accounts.users u WHERE {where} AND ($4::text IS NULL OR u.id < $4)"  # noqa: S608
        " ORDER BY u.id DESC LIMIT $5",
        *chosen,
        after,
        query.limit + 1,
    )
    return int(total or 0), [_view(row) for row in rows]


async def insert_user(
    connection: Connection,
    *,
    email: str,
    name: str,
    role: Role,
    locale: str,
    verified: bool,
    at: datetime,
) -> str | None:
    """Add a user and return the id; None if the address is taken."""
    return await connection.fetchval(
        "INSERT INTO accounts.users (id, email, name, role, locale, email_verified_at, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (email) DO NOTHING RETURNING id",
        new_id("usr"),
        normal_email(email),
        name,
        role,
        locale,
        at if verified else None,
        at,
    )


async def update_user(connection: Connection, user_id: str, changes: Mapping[str, Any], at: datetime) -> None:
    """Set some of name, role, skill_level and locale."""
    names = [name for name in changes if name in _CHANGEABLE]
    sets = ", ".join(f"{name} = ${number}" for number, name in enumerate(names, start=3))
    await connection.execute(
        f"UPDATE accounts.users SET updated_at = $2{', ' + sets if sets else ''} WHERE id = $1",  # noqa: S608  names of columns
        user_id,
        at,
        *(changes[name] for name in names),
    )


async def set_disabled(connection: Connection, user_id: str, *, disabled: bool, at: datetime) -> None:
    """Disable a user, or enable it again."""
    await connection.execute(
        "UPDATE accounts.users SET disabled_at = $2, updated_at = $3 WHERE id = $1",
        user_id,
        at if disabled else None,
        at,
    )


async def delete_user(connection: Connection, user_id: str) -> None:
    """Delete a user with everything that belongs to it, except the audit."""
    await connection.execute("DELETE FROM accounts.users WHERE id = $1", user_id)


async def mark_verified(connection: Connection, user_id: str, at: datetime) -> None:
    """Record that the user owns the address."""
    await connection.execute(
        "UPDATE accounts.users SET email_verified_at = coalesce(email_verified_at, $2) WHERE id = $1",
        user_id,
        at,
    )


async def mark_signed_in(connection: Connection, user_id: str, at: datetime) -> None:
    """Record the time of the last sign-in."""
    await connection.execute("UPDATE accounts.users SET last_sign_in_at = $2 WHERE id = $1", user_id, at)


async def lock_admins(connection: Connection) -> None:
    """Let no other transaction change who is an administrator until this one ends."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('accounts.admins'))")


async def count_other_admins(connection: Connection, user_id: str) -> int:
    """Return how many other administrators can sign in."""
    counted = await connection.fetchval(
        "SELECT count(*) FROM accounts.users WHERE role = 'admin' AND disabled_at IS NULL"
        " AND email_verified_at IS NOT NULL AND id <> $1",
        user_id,
    )
    return int(counted or 0)


async def get_password_hash(connection: Connection, user_id: str) -> str | None:
    """Return the hash of a user's password; None if there is none."""
    return await connection.fetchval("SELECT hash FROM accounts.passwords WHERE user_id = $1", user_id)


async def set_password_hash(connection: Connection, user_id: str, hashed: str, at: datetime) -> None:
    """Set the hash of a user's password."""
    await connection.execute(
        "INSERT INTO accounts.passwords (user_id, hash, changed_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        user_id,
        hashed,
        at,
    )


async def delete_password(connection: Connection, user_id: str) -> None:
    """Remove a user's password."""
    await connection.execute("DELETE FROM accounts.passwords WHERE user_id = $1", user_id)


async def insert_identity(
    connection: Connection, provider: str, subject: str, user_id: str, *, email: str, at: datetime
) -> None:
    """Link an identity at a provider to a user; a link that exists stays."""
    await connection.execute(
        "INSERT INTO accounts.identities (provider, subject, user_id, email, linked_at)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        provider,
        subject,
        user_id,
        email,
        at,
    )


async def _fetch_one(connection: Connection, where: str, value: str, *, lock: bool) -> UserView | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM accounts.users u WHERE {where}{' FOR UPDATE' if lock else ''}",  # noqa: S608  constants
        value,
    )
    return None if row is None else _view(row)


def _view(row: Mapping[str, Any]) -> UserView:
    return UserView.model_validate(dict(row))


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
