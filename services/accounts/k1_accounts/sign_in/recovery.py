"""Lets people in who have a token instead of a password: forgotten passwords, invitations, sign-in links."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from k1_accounts import errors
from k1_accounts.audit import actor_for, unknown_actor, write_audit
from k1_accounts.mail.store import enqueue_mail
from k1_accounts.one_time_tokens import delete_tokens, is_valid, take_token
from k1_accounts.passwords.hashing import PasswordHasher
from k1_accounts.passwords.rules import check_password
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.sessions.store import end_sessions
from k1_accounts.sign_in.registration import ACCEPTED
from k1_accounts.sign_in.throttle import (
    MAILS_FROM_ADDRESS,
    MAILS_TO_ACCOUNT,
    address_subject,
    require,
    take,
)
from k1_accounts.users import store
from k1_contracts.messages.accounts.authentication import (
    ForgotPassword,
    RequestAccepted,
    ResetPassword,
    SignedIn,
    SignInByLink,
)
from k1_contracts.messages.accounts.users import AccessChanged, PasswordChanged
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class Recovery:
    """Sign-in and new passwords by tokens that work once."""

    pool: Pool
    hasher: PasswordHasher
    sessions: SessionService
    clock: Callable[[], datetime]

    async def forgot(self, query: ForgotPassword) -> RequestAccepted:
        """Send a link that sets another password, if the address has an account.

        Raises:
            QueryError: `too_many_attempts` (429), by the address that asks.
        """
        at, email = self.clock(), store.normal_email(query.email)
        async with self.pool.acquire() as connection, connection.transaction():
            await require(connection, MAILS_FROM_ADDRESS, address_subject(query.client.address), at)
            user = await store.find_user(connection, email)
            is_sent = await take(connection, MAILS_TO_ACCOUNT, email, at) is None and user is not None
            await enqueue_mail(connection, user.id if user and is_sent else None, "reset", at)
            await write_audit(
                connection,
                "password_forgotten",
                user.id if user else None,
                at=at,
                actor=unknown_actor(query.client),
            )
        return ACCEPTED

    async def reset(self, query: ResetPassword) -> PasswordChanged:
        """Set a password by the token of a message, and end all sessions. The address is confirmed by it.

        Raises:
            QueryError: `token_invalid` (400), `weak_password` (422); the token stays valid after the latter.
        """
        async with self.pool.acquire() as connection:
            if not await is_valid(connection, query.token, "password", self.clock()):
                raise errors.token_invalid()
        check_password(query.new_password)
        hashed = await self.hasher.hash(query.new_password)
        change = await self._set_password(query, hashed)
        await self.sessions.notifier.publish([change] if change else [])
        return PasswordChanged(sessions_ended=len(change.session_ids) if change else 0)

    async def sign_in_by_link(self, query: SignInByLink) -> SignedIn:
        """Open a session by a one-time link.

        Raises:
            QueryError: `token_invalid` (400).
        """
        async with self.pool.acquire() as connection, connection.transaction():
            user_id = await take_token(connection, query.token, "link", self.clock())
            user = None if user_id is None else await store.get_user(connection, user_id, lock=True)
            if user is None or user.disabled:
                raise errors.token_invalid()
            return await self.sessions.open(connection, user, "link", query.client)

    async def _set_password(self, query: ResetPassword, hashed: str) -> AccessChanged | None:
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            user_id = await take_token(connection, query.token, "password", at)
            user = None if user_id is None else await store.get_user(connection, user_id, lock=True)
            if user is None or user.disabled:
                raise errors.token_invalid()
            await store.set_password_hash(connection, user.id, hashed, at)
            await store.mark_verified(connection, user.id, at)
            await delete_tokens(connection, user.id)
            change = await end_sessions(connection, user.id, "password_changed", at)
            await enqueue_mail(connection, user.id, "password_changed", at)
            await write_audit(
                connection, "password_reset", user.id, at=at, actor=actor_for(user, query.client)
            )
        return change
