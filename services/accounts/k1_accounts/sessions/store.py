"""Reads and writes the tables of sessions and refresh tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from k1_accounts.revocations import store_revocation
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.users import AccessChanged, ClientInfo, SessionView
from k1_platform.postgres.pool import Connection

Method = Literal["password", "link", "oauth"]
EndReason = Literal["signed_out", "revoked", "password_changed", "token_reused", "disabled"]
_LIVE: Final = "ended_at IS NULL AND expires_at > $2"


class RefreshRow(NamedTuple):
    """A refresh token with its session."""

    session_id: str
    user_id: str
    used_at: datetime | None
    uses: int
    created_at: datetime
    """Of the session."""
    is_live: bool
    """Whether the session has neither ended nor expired."""


async def insert_session(
    connection: Connection, user_id: str, method: Method, client: ClientInfo, *, at: datetime, until: datetime
) -> str:
    """Add a session and return its id."""
    session_id = new_id("ses")
    await connection.execute(
        "INSERT INTO accounts.sessions (id, user_id, method, address, user_agent, created_at, last_used_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
        session_id,
        user_id,
        method,
        client.address,
        client.user_agent,
        at,
        until,
    )
    return session_id


async def insert_refresh_token(connection: Connection, hashed: bytes, session_id: str, at: datetime) -> None:
    """Add a token to the family of a session."""
    await connection.execute(
        "INSERT INTO accounts.refresh_tokens (hash, session_id, created_at) VALUES ($1, $2, $3)",
        hashed,
        session_id,
        at,
    )


async def lock_refresh_token(connection: Connection, hashed: bytes, now: datetime) -> RefreshRow | None:
    """Return a token and lock its session, so that two uses come one after the other.

    Lock the user before: whoever locks both does so in this order.
    """
    # Locked first: the row of the token is then read as the use before has left it.
    locked = await connection.fetchval(
        "SELECT id FROM accounts.sessions WHERE id = ("
        " SELECT session_id FROM accounts.refresh_tokens WHERE hash = $1) FOR UPDATE",
        hashed,
    )
    if locked is None:
        return None
    row = await connection.fetchrow(
        "SELECT s.id, s.user_id, t.used_at, t.uses, s.created_at, s.ended_at IS NULL AND s.expires_at > $2 AS live"
        " FROM accounts.refresh_tokens t JOIN accounts.sessions s ON s.id = t.session_id WHERE t.hash = $1",
        hashed,
        now,
    )
    return None if row is None else RefreshRow(*row)


async def mark_used(
    connection: Connection,
    hashed: bytes,
    session_id: str,
    *,
    at: datetime,
    until: datetime,
    client: ClientInfo,
) -> None:
    """Record a use of a token, and that its session is in use."""
    await connection.execute(
        "UPDATE accounts.refresh_tokens SET used_at = coalesce(used_at, $2), uses = uses + 1 WHERE hash = $1",
        hashed,
        at,
    )
    await connection.execute(
        "UPDATE accounts.sessions SET last_used_at = $2, expires_at = $3, address = coalesce($4, address),"
        " user_agent = coalesce($5, user_agent) WHERE id = $1",
        session_id,
        at,
        until,
        client.address,
        client.user_agent,
    )


async def list_sessions(
    connection: Connection, user_id: str, current: str | None, now: datetime, *, after: str | None, limit: int
) -> tuple[int, Sequence[SessionView]]:
    """Return how many sessions a user has, and a page of them, with one more than `limit` if there is a next."""
    total = await connection.fetchval(
        f"SELECT count(*) FROM accounts.sessions WHERE user_id = $1 AND {_LIVE}",  # noqa: S608  a constant
        user_id,
        now,
    )
    rows = await connection.fetch(
        "SELECT id, method, address, user_agent, created_at, last_used_at, expires_at FROM accounts.sessions"  # noqa: S608  a constant
        f" WHERE user_id = $1 AND {_LIVE} AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        user_id,
        now,
        after,
        limit + 1,
    )
    return int(total or 0), [
        SessionView.model_validate({**dict(row), "current": row["id"] == current}) for row in rows
    ]


async def session_of_token(connection: Connection, hashed: bytes) -> tuple[str, str] | None:
    """Return the user and the session of a refresh token."""
    row = await connection.fetchrow(
        "SELECT s.user_id, s.id FROM accounts.refresh_tokens t JOIN accounts.sessions s ON s.id = t.session_id"
        " WHERE t.hash = $1",
        hashed,
    )
    return None if row is None else (row["user_id"], row["id"])


async def end_sessions(
    connection: Connection,
    user_id: str,
    reason: EndReason,
    at: datetime,
    *,
    only: str | None = None,
    but: str | None = None,
) -> AccessChanged | None:
    """End the sessions of a user: one, all but one, or all; return the change for the gateways."""
    rows = await connection.fetch(
        "UPDATE accounts.sessions SET ended_at = $2, end_reason = $3 WHERE user_id = $1 AND ended_at IS NULL"
        " AND ($4::text IS NULL OR id = $4) AND ($5::text IS NULL OR id <> $5) RETURNING id",
        user_id,
        at,
        reason,
        only,
        but,
    )
    if not rows:
        return None
    change = AccessChanged(user_id=user_id, session_ids=[row["id"] for row in rows], at=at)
    await store_revocation(connection, change)
    return change


async def delete_old(connection: Connection, now: datetime) -> None:
    """Delete what nobody needs any more: sessions a day after their end, expired tokens and used limits."""
    for statement in _PRUNING:
        await connection.execute(statement, now)


_PRUNING: Final = (
    "DELETE FROM accounts.sessions WHERE least(expires_at, ended_at) < $1::timestamptz - interval '1 day'",
    "DELETE FROM accounts.refresh_tokens WHERE used_at < $1::timestamptz - interval '8 days'",
    "DELETE FROM accounts.one_time_tokens WHERE expires_at < $1",
    "DELETE FROM accounts.oauth_flows WHERE expires_at < $1",
    "DELETE FROM accounts.attempts WHERE arrival < $1",
    "DELETE FROM accounts.revocations WHERE at < $1::timestamptz - interval '1 hour'",
)
