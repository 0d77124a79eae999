"""Signs people in with their password; changes it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from k1_accounts import errors
from k1_accounts.actors import require_person
from k1_accounts.audit import actor_for, unknown_actor, write_audit
from k1_accounts.mail.store import enqueue_mail
from k1_accounts.one_time_tokens import delete_tokens
from k1_accounts.passwords.hashing import PasswordHasher
from k1_accounts.passwords.rules import check_password
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.sessions.store import end_sessions
from k1_accounts.sign_in.throttle import MAILS_TO_ACCOUNT, SignInThrottle, take
from k1_accounts.users import store
from k1_contracts.messages.accounts.authentication import Login, SignedIn
from k1_contracts.messages.accounts.users import ChangePassword, PasswordChanged, UserView
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Connection, Pool


@dataclass(frozen=True, slots=True)
class PasswordSignIn:
    """Sign-in with a password."""

    pool: Pool
    hasher: PasswordHasher
    sessions: SessionService
    throttle: SignInThrottle
    clock: Callable[[], datetime]

    async def login(self, query: Login) -> SignedIn:
        """Open a session.

        An address without an account, an account without a password and one that is disabled take the same time and
        get the same response as a wrong password.

        Raises:
            QueryError: `sign_in_failed` (401), `email_not_verified` (403), `too_many_attempts` (429).
        """
        await self.throttle.begin(query.email, query.client.address, self.clock())
        user, hashed = await self._find(query.email)
        is_right = await self.hasher.verify(hashed, query.password)
        async with self.pool.acquire() as connection, connection.transaction():
            if user is None or hashed is None or not is_right or user.disabled:
                outcome = await self._refuse(connection, user, query)
            else:
                outcome = await self._accept(connection, user, hashed, query)
        if isinstance(outcome, QueryError):
            raise outcome
        return outcome

    async def change_password(self, query: ChangePassword) -> PasswordChanged:
        """Set the actor's password and end the actor's other sessions.

        Raises:
            QueryError: `wrong_password` (403), `weak_password` (422), `too_many_attempts` (429).
        """
        actor = require_person()
        async with self.pool.acquire() as connection:
            user = await store.get_user(connection, actor.id)
            hashed = await store.get_password_hash(connection, actor.id)
        if user is None:
            raise errors.no_account()
        if hashed is not None:
            await self.throttle.begin(user.email, actor.address, self.clock())
            if not await self.hasher.verify(hashed, query.current_password or ""):
                raise errors.wrong_password()
        check_password(query.new_password, (user.email, user.name))
        new_hash = await self.hasher.hash(query.new_password)
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            await store.set_password_hash(connection, user.id, new_hash, at)
            await delete_tokens(connection, user.id)
            change = await end_sessions(connection, user.id, "password_changed", at, but=query.session_id)
            await self.throttle.succeeded(connection, user.email, actor.address)
            await enqueue_mail(connection, user.id, "password_changed", at)
            await write_audit(connection, "password_changed", user.id, at=at)
        await self.sessions.notifier.publish([change] if change else [])
        return PasswordChanged(sessions_ended=len(change.session_ids) if change else 0)

    async def _find(self, email: str) -> tuple[UserView | None, str | None]:
        async with self.pool.acquire() as connection:
            user = await store.find_user(connection, email)
            # The same number of queries whether there is a user or not.
            return user, await store.get_password_hash(connection, user.id if user else "")

    async def _refuse(self, connection: Connection, user: UserView | None, query: Login) -> QueryError:
        await write_audit(
            connection,
            "sign_in_failed",
            user.id if user else None,
            at=self.clock(),
            actor=unknown_actor(query.client),
        )
        return errors.sign_in_failed()

    async def _accept(
        self, connection: Connection, user: UserView, hashed: str, query: Login
    ) -> SignedIn | QueryError:
        at = self.clock()
        await self.throttle.succeeded(connection, user.email, query.client.address)
        # Read again under a lock: the password may have been changed, or the user disabled, in the meantime.
        locked = await store.get_user(connection, user.id, lock=True)
        if locked is None or locked.disabled or await store.get_password_hash(connection, user.id) != hashed:
            return await self._refuse(connection, user, query)
        if not locked.email_verified:
            if await take(connection, MAILS_TO_ACCOUNT, user.email, at) is None:
                await enqueue_mail(connection, user.id, "verify", at)
            return errors.email_not_verified()
        if self.hasher.is_outdated(hashed):
            await store.set_password_hash(connection, user.id, await self.hasher.hash(query.password), at)
            await write_audit(
                connection, "password_rehashed", user.id, at=at, actor=actor_for(user, query.client)
            )
        return await self.sessions.open(connection, locked, "password", query.client)
