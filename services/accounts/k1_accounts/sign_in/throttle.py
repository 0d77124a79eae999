"""Limits attempts by account and by network address, across all processes.

Each limit is a generic cell rate algorithm: one row holds the time until which its subject has used up the rate. The
table holds hashes of addresses, as a message from an unknown sender must not be stored in plain.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Final

from k1_accounts.errors import too_many_attempts
from k1_accounts.users.store import normal_email
from k1_platform.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at once, and then one in each interval."""

    name: str
    burst: int
    interval: timedelta


ACCOUNT_AND_ADDRESS: Final = Limit("account-address", 10, timedelta(minutes=1))
ACCOUNT: Final = Limit("account", 50, timedelta(minutes=1))
"""Above the limit for one address, so that nobody locks an owner out from elsewhere with a few attempts."""
ADDRESS: Final = Limit("address", 100, timedelta(seconds=6))
MAILS_TO_ACCOUNT: Final = Limit("mail-account", 5, timedelta(minutes=10))
MAILS_FROM_ADDRESS: Final = Limit("mail-address", 20, timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class SignInThrottle:
    """Counts sign-ins before the password is looked at, so that parallel guesses count too."""

    pool: Pool

    async def begin(self, email: str, address: str | None, now: datetime) -> None:
        """Count an attempt.

        Raises:
            QueryError: `too_many_attempts` (429), with the seconds to wait.
        """
        for limit, subject in _subjects(email, address):
            async with self.pool.acquire() as connection:
                await require(connection, limit, subject, now)

    async def succeeded(self, connection: Connection, email: str, address: str | None) -> None:
        """Forget the attempts at an account from this address after the right password.

        The other limits get one attempt back: others may be guessing at the same time.
        """
        for limit, subject in _subjects(email, address):
            key = _key(limit, subject)
            if limit is ACCOUNT_AND_ADDRESS:
                await connection.execute("DELETE FROM accounts.attempts WHERE key = $1", key)
            else:
                await connection.execute(
                    "UPDATE accounts.attempts SET arrival = arrival - $2::interval WHERE key = $1",
                    key,
                    limit.interval,
                )


async def require(connection: Connection, limit: Limit, subject: str, now: datetime) -> None:
    """Count an attempt, and raise `too_many_attempts` if it is over the limit."""
    wait = await take(connection, limit, subject, now)
    if wait is not None:
        raise too_many_attempts(max(1, math.ceil(wait.total_seconds())))


async def take(connection: Connection, limit: Limit, subject: str, now: datetime) -> timedelta | None:
    """Count an attempt and return None; over the limit count nothing and return how long to wait."""
    key, tolerance = _key(limit, subject), limit.interval * (limit.burst - 1)
    taken = await connection.fetchval(
        "INSERT INTO accounts.attempts AS a (key, arrival) VALUES ($1, $2::timestamptz + $3::interval)"
        " ON CONFLICT (key) DO UPDATE SET arrival = greatest(a.arrival, $2) + $3"
        " WHERE greatest(a.arrival, $2) <= $2 + $4::interval RETURNING true",
        key,
        now,
        limit.interval,
        tolerance,
    )
    if taken:
        return None
    arrival = await connection.fetchval("SELECT arrival FROM accounts.attempts WHERE key = $1", key)
    return timedelta(0) if arrival is None else arrival - tolerance - now


def address_subject(address: str | None) -> str:
    """Return what is limited for an address: of IPv6 the network of 64 bits that a client usually has."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else parsed.exploded[:19]
    return str(parsed)


def _subjects(email: str, address: str | None) -> tuple[tuple[Limit, str], ...]:
    account, source = normal_email(email), address_subject(address)
    return (ADDRESS, source), (ACCOUNT_AND_ADDRESS, f"{account} {source}"), (ACCOUNT, account)


def _key(limit: Limit, subject: str) -> str:
    return f"{limit.name}:{sha256(subject.encode()).hexdigest()}"
