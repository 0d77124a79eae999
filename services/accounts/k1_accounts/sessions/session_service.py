"""Opens sessions, exchanges refresh tokens and ends sessions.

A refresh token is exchanged once, for another of the same family. When an exchanged one comes again, someone has a copy
of it, so the whole family ends. Within GRACE it is exchanged again: two tabs of a browser, or a response that was lost.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_accounts import errors
from k1_accounts.audit import actor_for, unknown_actor, write_audit
from k1_accounts.revocations import AccessNotifier
from k1_accounts.sessions import store
from k1_accounts.sessions.access_tokens import AccessTokenIssuer
from k1_accounts.sessions.store import Method, RefreshRow
from k1_accounts.tokens import REFRESH_PREFIX, hash_secret, new_secret
from k1_accounts.users.store import get_user, mark_signed_in
from k1_contracts.messages.accounts.authentication import Logout, Refresh, SignedIn, SignedOut
from k1_contracts.messages.accounts.users import AccessChanged, ClientInfo, UserView
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection, Pool

LIFETIME: Final = timedelta(days=7)
"""Of a session that is not used."""
MAX_LIFETIME: Final = timedelta(days=90)
"""Of a session that is used every day."""
GRACE: Final = timedelta(seconds=10)
_MOST_USES: Final = 5
"""Exchanges of one token within GRACE."""


@dataclass(frozen=True, slots=True)
class SessionService:
    """The sessions of all users."""

    pool: Pool
    issuer: AccessTokenIssuer
    notifier: AccessNotifier
    clock: Callable[[], datetime]

    async def open(
        self, connection: Connection, user: UserView, method: Method, client: ClientInfo
    ) -> SignedIn:
        """Open a session for a user who has proven who it is; part of the caller's transaction."""
        at = self.clock()
        session_id = await store.insert_session(
            connection, user.id, method, client, at=at, until=at + LIFETIME
        )
        await mark_signed_in(connection, user.id, at)
        await write_audit(
            connection,
            "signed_in",
            user.id,
            at=at,
            actor=actor_for(user, client),
            method=method,
            session_id=session_id,
        )
        return await self._issue(connection, user, session_id, at, at + LIFETIME)

    async def refresh(self, query: Refresh) -> SignedIn:
        """Exchange a refresh token for new tokens of the same session.

        Raises:
            QueryError: `session_ended` (401), or `refresh_token_reused` (401); then the session has ended now.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            outcome = await self._exchange(connection, query)
        if isinstance(outcome, SignedIn):
            return outcome
        await self.notifier.publish([outcome])
        raise errors.refresh_token_reused()

    async def _exchange(self, connection: Connection, query: Refresh) -> SignedIn | AccessChanged:
        """Return new tokens, or the end of a session whose token was reused."""
        hashed = hash_secret(query.refresh_token)
        owner = await store.session_of_token(connection, hashed)
        # Under this lock nobody changes the role; the time is taken after it, so that a token of a role which is just
        # being changed is older than the change.
        user = None if owner is None else await get_user(connection, owner[0], lock=True)
        at = self.clock()
        row = await store.lock_refresh_token(connection, hashed, at)
        if user is None or user.disabled or row is None or not row.is_live:
            raise errors.session_ended()
        if _is_reused(row, at):
            change = await store.end_sessions(connection, user.id, "token_reused", at, only=row.session_id)
            assert change is not None, "the session is locked and live"
            await write_audit(
                connection,
                "refresh_token_reused",
                user.id,
                at=at,
                actor=unknown_actor(query.client),
                session_id=row.session_id,
            )
            return change
        until = min(at + LIFETIME, row.created_at + MAX_LIFETIME)
        await store.mark_used(connection, hashed, row.session_id, at=at, until=until, client=query.client)
        return await self._issue(connection, user, row.session_id, at, until)

    async def logout(self, query: Logout) -> SignedOut:
        """End the session of a refresh token, or one of the actor; an unknown one is no error."""
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            owner = await self._owner(connection, query)
            if owner is None:
                return SignedOut()
            user_id, session_id = owner
            change = await store.end_sessions(connection, user_id, "signed_out", at, only=session_id)
            user = await get_user(connection, user_id)
            if change is not None and user is not None:
                actor = actor_for(user, query.client)
                await write_audit(
                    connection, "signed_out", user_id, at=at, actor=actor, session_id=session_id
                )
        await self.notifier.publish([change] if change else [])
        return SignedOut(session_id=session_id)

    async def _owner(self, connection: Connection, query: Logout) -> tuple[str, str] | None:
        if query.refresh_token is not None:
            found = await store.session_of_token(connection, hash_secret(query.refresh_token))
            if found is not None:
                return found
        actor = current_actor()
        if actor is not None and actor.kind == "user" and query.session_id is not None:
            return actor.id, query.session_id
        return None

    async def _issue(
        self, connection: Connection, user: UserView, session_id: str, at: datetime, until: datetime
    ) -> SignedIn:
        refresh_token = new_secret(REFRESH_PREFIX)
        await store.insert_refresh_token(connection, hash_secret(refresh_token), session_id, at)
        access_token, access_expires_at = self.issuer.issue(user, session_id, at)
        return SignedIn(
            session_id=session_id,
            access_token=access_token,
            access_expires_at=access_expires_at,
            refresh_token=refresh_token,
            refresh_expires_at=until,
            user=user,
        )


def _is_reused(row: RefreshRow, now: datetime) -> bool:
    return row.used_at is not None and (now - row.used_at > GRACE or row.uses >= _MOST_USES)
