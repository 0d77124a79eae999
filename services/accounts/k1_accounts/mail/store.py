"""Stores which messages are to be sent. The token in a message is made when it is sent, so none is stored."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from k1_platform.postgres.pool import Connection

Template = Literal["verify", "account_exists", "reset", "invitation", "password_changed"]
_LEASE: Final = timedelta(minutes=2)
"""How long a process has for sending a message, before another one may try."""


class DueMail(NamedTuple):
    """A message to send."""

    id: int
    user_id: str | None
    """None: nobody has the address that was asked about. The row exists so that asking takes the same time."""
    template: Template
    created_at: datetime
    attempts: int


async def enqueue_mail(connection: Connection, user_id: str | None, template: Template, at: datetime) -> None:
    """Add a message to a user; part of the transaction that is the reason for it."""
    await connection.execute(
        "INSERT INTO accounts.mails (user_id, template, created_at, due_at) VALUES ($1, $2, $3, $3)",
        user_id,
        template,
        at,
    )


async def claim_mail(connection: Connection, now: datetime) -> DueMail | None:
    """Return the message that is due for the longest, for this process alone."""
    row = await connection.fetchrow(
        "UPDATE accounts.mails SET attempts = attempts + 1, due_at = $2 WHERE id = ("
        " SELECT id FROM accounts.mails WHERE due_at <= $1 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
        " RETURNING id, user_id, template, created_at, attempts",
        now,
        now + _LEASE,
    )
    return None if row is None else DueMail(*row)


async def postpone_mail(connection: Connection, mail_id: int, due_at: datetime) -> None:
    """Try again later."""
    await connection.execute("UPDATE accounts.mails SET due_at = $2 WHERE id = $1", mail_id, due_at)


async def delete_mail(connection: Connection, mail_id: int) -> None:
    """Remove a message that was sent, or given up."""
    await connection.execute("DELETE FROM accounts.mails WHERE id = $1", mail_id)
