"""Makes and takes tokens that work once: those in messages to users, and the sign-in link of `k1 up`."""

from datetime import datetime, timedelta
from typing import Literal

from k1_accounts.tokens import hash_secret, new_secret
from k1_platform.postgres.pool import Connection

Purpose = Literal["verify", "password", "link"]


async def create_token(
    connection: Connection, user_id: str, purpose: Purpose, at: datetime, lifetime: timedelta
) -> str:
    """Return a new token of a user; only its hash is stored."""
    token = new_secret()
    await connection.execute(
        "INSERT INTO accounts.one_time_tokens (hash, user_id, purpose, created_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        hash_secret(token),
        user_id,
        purpose,
        at,
        at + lifetime,
    )
    return token


async def is_valid(connection: Connection, token: str, purpose: Purpose, now: datetime) -> bool:
    """Return whether the token could be taken now."""
    found = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM accounts.one_time_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > $3)",
        hash_secret(token),
        purpose,
        now,
    )
    return bool(found)


async def take_token(connection: Connection, token: str, purpose: Purpose, now: datetime) -> str | None:
    """Remove a token and return its user; None if it is unknown, used or expired. Of several calls one gets it."""
    return await connection.fetchval(
        "DELETE FROM accounts.one_time_tokens WHERE hash = $1 AND purpose = $2 AND expires_at > $3"
        " RETURNING user_id",
        hash_secret(token),
        purpose,
        now,
    )


async def delete_tokens(connection: Connection, user_id: str) -> None:
    """Remove all tokens of a user, as after a change of the password."""
    await connection.execute("DELETE FROM accounts.one_time_tokens WHERE user_id = $1", user_id)
