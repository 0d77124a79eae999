"""Signs people up, and confirms their addresses."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from k1_accounts import errors
from k1_accounts.audit import actor_for, unknown_actor, write_audit
from k1_accounts.mail.store import Template, enqueue_mail
from k1_accounts.one_time_tokens import take_token
from k1_accounts.passwords.hashing import PasswordHasher
from k1_accounts.passwords.rules import check_password
from k1_accounts.sign_in.throttle import (
    MAILS_FROM_ADDRESS,
    MAILS_TO_ACCOUNT,
    address_subject,
    require,
    take,
)
from k1_accounts.users import store
from k1_contracts.messages.accounts.authentication import (
    EmailVerified,
    Register,
    RequestAccepted,
    VerifyEmail,
)
from k1_contracts.messages.accounts.users import UserView
from k1_platform.postgres.pool import Connection, Pool

ACCEPTED: Final = RequestAccepted(message="A message is on its way to this address; open the link in it.")


@dataclass(frozen=True, slots=True)
class Registration:
    """Sign-up by anyone, if the settings allow it."""

    pool: Pool
    hasher: PasswordHasher
    sign_up: Literal["open", "invited"]
    clock: Callable[[], datetime]

    async def register(self, query: Register) -> RequestAccepted:
        """Add a viewer who has to confirm the address; for an address with an account only send a message there.

        Raises:
            QueryError: `sign_up_closed` (403), `weak_password` (422), `too_many_attempts` (429).
        """
        if self.sign_up != "open":
            raise errors.sign_up_closed()
        check_password(query.password, (query.email, query.name))
        at, email = self.clock(), store.normal_email(query.email)
        async with self.pool.acquire() as connection:
            await require(connection, MAILS_FROM_ADDRESS, address_subject(query.client.address), at)
        hashed = await self.hasher.hash(query.password)
        async with self.pool.acquire() as connection, connection.transaction():
            added = await store.insert_user(
                connection,
                email=email,
                name=query.name,
                role="viewer",
                locale=query.locale,
                verified=False,
                at=at,
            )
            if added is not None:
                await store.set_password_hash(connection, added, hashed, at)
            user = await store.find_user(connection, email)
            assert user is not None, "it was added, or it was there"
            template: Template = "account_exists" if user.email_verified else "verify"
            await self._send(connection, user, template, at)
            action = "registered" if added else "registered_again"
            await write_audit(connection, action, user.id, at=at, actor=unknown_actor(query.client))
        return ACCEPTED

    async def verify(self, query: VerifyEmail) -> EmailVerified:
        """Confirm the address of the user to whom the token was sent.

        Raises:
            QueryError: `token_invalid` (400).
        """
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            user_id = await take_token(connection, query.token, "verify", at)
            user = None if user_id is None else await store.get_user(connection, user_id)
            if user is None:
                raise errors.token_invalid()
            await store.mark_verified(connection, user.id, at)
            await write_audit(
                connection, "email_verified", user.id, at=at, actor=actor_for(user, query.client)
            )
        return EmailVerified(email=user.email)

    async def _send(self, connection: Connection, user: UserView, template: Template, at: datetime) -> None:
        is_allowed = await take(connection, MAILS_TO_ACCOUNT, user.email, at) is None
        await enqueue_mail(connection, user.id if is_allowed else None, template, at)
