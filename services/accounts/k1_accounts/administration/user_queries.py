"""Responds to queries of administrators about users, and of users about their own profile."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_accounts import errors
from k1_accounts.actors import require_account
from k1_accounts.audit import changes, write_audit
from k1_accounts.mail.store import enqueue_mail
from k1_accounts.revocations import AccessNotifier, store_revocation
from k1_accounts.sessions.store import end_sessions
from k1_accounts.users import store
from k1_contracts.messages.accounts.users import (
    AccessChanged,
    CreateUser,
    DeleteUser,
    GetMe,
    GetUser,
    ListUsers,
    UpdateMe,
    UpdateUser,
    UserDeleted,
    UserPage,
    UserView,
)
from k1_platform.cursors import cursor_after, row_before
from k1_platform.postgres.pool import Connection, Pool

_WALK: Final = "users"


@dataclass(frozen=True, slots=True)
class UserQueries:
    """Responds from the table of users."""

    pool: Pool
    notifier: AccessNotifier
    clock: Callable[[], datetime]

    async def list_users(self, query: ListUsers) -> UserPage:
        """Return a page of users, the newest first."""
        after = row_before(query.cursor, _WALK, by_time=False)
        async with self.pool.acquire() as connection:
            total, found = await store.list_users(connection, query, after and after.id)
        page = list(found[: query.limit])
        more = cursor_after(_WALK, page[-1].id) if len(found) > query.limit else None
        return UserPage(total=total, items=page, next_cursor=more)

    async def get_user(self, query: GetUser) -> UserView:
        """Return one user.

        Raises:
            QueryError: `user_not_found` (404).
        """
        async with self.pool.acquire() as connection:
            return await _require_user(connection, query.user_id)

    async def create(self, query: CreateUser) -> UserView:
        """Add a user, who gets a message with a link to set a password.

        Raises:
            QueryError: `user_exists` (409).
        """
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            added = await store.insert_user(
                connection,
                email=query.email,
                name=query.name,
                role=query.role,
                locale=query.locale,
                verified=False,
                at=at,
            )
            if added is None:
                raise errors.user_exists(query.email)
            await enqueue_mail(connection, added, "invitation", at)
            await write_audit(connection, "user_invited", added, at=at, email=query.email, role=query.role)
            return await _require_user(connection, added)

    async def update(self, query: UpdateUser) -> UserView:
        """Change a user. Another role or disabling ends the access tokens; disabling ends the sessions too.

        Raises:
            QueryError: `user_not_found` (404), `last_admin` (409).
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await store.lock_admins(connection)
            before = await _require_user(connection, query.user_id, lock=True)
            # After the lock: a token that was issued before it is older than the change.
            at = self.clock()
            loses_role = query.role is not None and query.role != "admin"
            if loses_role or query.disabled:
                await _require_other_admin(connection, before)
            given = query.model_dump(include={"name", "role"}, exclude_none=True)
            await store.update_user(connection, before.id, given, at)
            if query.disabled is not None and query.disabled != before.disabled:
                await store.set_disabled(connection, before.id, disabled=query.disabled, at=at)
            after = await _require_user(connection, before.id)
            await write_audit(connection, "user_changed", before.id, at=at, **changes(before, after))
            revoked: list[AccessChanged] = []
            if after.role != before.role or (after.disabled and not before.disabled):
                revoked = await _end_access(connection, after, at)
        await self.notifier.publish(revoked)
        return after

    async def delete(self, query: DeleteUser) -> UserDeleted:
        """Delete a user with sessions, keys and identities; the audit stays.

        Raises:
            QueryError: `user_not_found` (404), `last_admin` (409).
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await store.lock_admins(connection)
            user = await _require_user(connection, query.user_id, lock=True)
            at = self.clock()
            await _require_other_admin(connection, user)
            change = AccessChanged(user_id=user.id, tokens_before=at, at=at)
            await store_revocation(connection, change)
            await store.delete_user(connection, user.id)
            await write_audit(connection, "user_deleted", user.id, at=at, email=user.email, role=user.role)
        await self.notifier.publish([change])
        return UserDeleted(user_id=user.id)

    async def get_me(self, _: GetMe) -> UserView:
        """Return the actor's account.

        Raises:
            QueryError: `no_account` (403).
        """
        return await self.get_user(GetUser(user_id=require_account().id))

    async def update_me(self, query: UpdateMe) -> UserView:
        """Change the actor's profile.

        Raises:
            QueryError: `no_account` (403).
        """
        actor, at = require_account(), self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            before = await _require_user(connection, actor.id, lock=True)
            await store.update_user(connection, actor.id, query.model_dump(exclude_none=True), at)
            after = await _require_user(connection, actor.id)
            await write_audit(connection, "profile_changed", actor.id, at=at, **changes(before, after))
        return after


async def _require_user(connection: Connection, user_id: str, *, lock: bool = False) -> UserView:
    user = await store.get_user(connection, user_id, lock=lock)
    if user is None:
        raise errors.user_not_found(user_id)
    return user


async def _require_other_admin(connection: Connection, user: UserView) -> None:
    """Raise unless someone else can administer; the caller holds the lock on administrators."""
    is_needed = user.role == "admin" and user.email_verified and not user.disabled
    if is_needed and await store.count_other_admins(connection, user.id) == 0:
        raise errors.last_admin()


async def _end_access(connection: Connection, user: UserView, at: datetime) -> list[AccessChanged]:
    """End the access tokens of a user, and the sessions if the user is disabled."""
    change = AccessChanged(user_id=user.id, tokens_before=at, at=at)
    await store_revocation(connection, change)
    ended = await end_sessions(connection, user.id, "disabled", at) if user.disabled else None
    return [change] if ended is None else [change, ended]
