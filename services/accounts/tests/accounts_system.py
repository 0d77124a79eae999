"""The parts of accounts for tests: a clock to set, a mailbox in memory, and shortcuts to have users and sessions."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from argon2 import PasswordHasher as Argon2
from faststream.nats import NatsBroker

from k1_accounts.administration.user_queries import UserQueries
from k1_accounts.keys.queries import KeyQueries
from k1_accounts.mail.sender import MailSender
from k1_accounts.passwords.hashing import PasswordHasher
from k1_accounts.revocations import AccessNotifier, RevocationQueries
from k1_accounts.sessions.access_tokens import AccessTokenIssuer
from k1_accounts.sessions.queries import SessionQueries
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.sign_in.password_sign_in import PasswordSignIn
from k1_accounts.sign_in.recovery import Recovery
from k1_accounts.sign_in.registration import Registration
from k1_accounts.sign_in.throttle import SignInThrottle
from k1_accounts.users import store
from k1_contracts.actors import Actor, Role
from k1_contracts.messages.accounts.authentication import Login, SignedIn
from k1_contracts.messages.accounts.users import ClientInfo, UserView
from k1_platform.auth.signing import load_keys
from k1_platform.postgres.pool import Pool

PASSWORD = "violet otter plays cello"
OTHER_PASSWORD = "nine purple lanterns drift"
CLIENT = ClientInfo(address="192.0.2.7", user_agent="test")
CHEAP = Argon2(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(slots=True)
class SetClock:
    """A clock that stands still until a test moves it."""

    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(slots=True)
class Mailbox:
    """Keeps the messages instead of sending them."""

    messages: list[EmailMessage] = field(default_factory=list)

    async def __call__(self, message: EmailMessage) -> None:
        self.messages.append(message)

    def token(self) -> str:
        """Return the token in the newest message."""
        (found,) = re.findall(r"\?token=(\S+)", self.messages[-1].get_content())
        return found


@dataclass(slots=True)
class AccountsSystem:
    """What `app.py` wires."""

    pool: Pool
    clock: SetClock
    hasher: PasswordHasher
    sessions: SessionService
    session_queries: SessionQueries
    passwords: PasswordSignIn
    registration: Registration
    recovery: Recovery
    users: UserQueries
    keys: KeyQueries
    revocations: RevocationQueries
    mailbox: Mailbox
    mail: MailSender

    @classmethod
    def create(cls, pool: Pool, broker: NatsBroker, keys: Path, executor: ThreadPoolExecutor) -> Self:
        clock, mailbox, notifier = SetClock(), Mailbox(), AccessNotifier(broker)
        hasher = PasswordHasher(CHEAP, executor)
        issuer = AccessTokenIssuer(load_keys(keys), "k1-accounts")
        sessions = SessionService(pool, issuer, notifier, clock)
        return cls(
            pool=pool,
            clock=clock,
            hasher=hasher,
            sessions=sessions,
            session_queries=SessionQueries(pool, issuer, notifier, clock),
            passwords=PasswordSignIn(pool, hasher, sessions, SignInThrottle(pool), clock),
            registration=Registration(pool, hasher, "open", clock),
            recovery=Recovery(pool, hasher, sessions, clock),
            users=UserQueries(pool, notifier, clock),
            keys=KeyQueries(pool, notifier, clock),
            revocations=RevocationQueries(pool, clock),
            mailbox=mailbox,
            mail=MailSender(pool, mailbox, "k1@example.org", "https://k1.example.org", clock),
        )

    async def add_user(
        self, email: str = "ada@example.org", role: Role = "viewer", *, password: str | None = PASSWORD
    ) -> UserView:
        """Add a user who can sign in."""
        async with self.pool.acquire() as connection:
            added = await store.insert_user(
                connection, email=email, name="Ada", role=role, locale="en", verified=True, at=self.clock()
            )
            assert added is not None
            if password is not None:
                await store.set_password_hash(connection, added, CHEAP.hash(password), self.clock())
            user = await store.get_user(connection, added)
        assert user is not None
        return user

    async def login(self, email: str = "ada@example.org", password: str = PASSWORD) -> SignedIn:
        return await self.passwords.login(Login(email=email, password=password, client=CLIENT))

    async def deliver(self) -> list[EmailMessage]:
        """Send all messages that are due; return all that were sent so far."""
        while await self.mail.send_next():
            pass
        return self.mailbox.messages

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.pool.fetch(query, *arguments)]


def actor_of(user: UserView, **changes: Any) -> Actor:
    """Return a user as the actor of a message."""
    given = {"kind": "user", "id": user.id, "name": user.name, "role": user.role, "address": CLIENT.address}
    return Actor.model_validate(given | changes)
