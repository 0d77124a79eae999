"""Responds to queries of users about their own sessions, and for the keys that verify access tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_accounts.actors import require_account
from k1_accounts.audit import write_audit
from k1_accounts.errors import session_not_found
from k1_accounts.revocations import AccessNotifier
from k1_accounts.sessions import store
from k1_accounts.sessions.access_tokens import AccessTokenIssuer
from k1_contracts.messages.accounts.authentication import GetJwks, JwkSet
from k1_contracts.messages.accounts.users import ListSessions, RevokeSessions, SessionPage, SessionsRevoked
from k1_platform.cursors import cursor_after, row_before
from k1_platform.postgres.pool import Pool

_WALK: Final = "sessions"


@dataclass(frozen=True, slots=True)
class SessionQueries:
    """Responds from the table of sessions."""

    pool: Pool
    issuer: AccessTokenIssuer
    notifier: AccessNotifier
    clock: Callable[[], datetime]

    async def get_jwks(self, _: GetJwks) -> JwkSet:
        """Return the public keys of access tokens."""
        return self.issuer.jwks

    async def list_sessions(self, query: ListSessions) -> SessionPage:
        """Return a page of the actor's sessions, the newest first."""
        actor, after = require_account(), row_before(query.cursor, _WALK, by_time=False)
        async with self.pool.acquire() as connection:
            total, found = await store.list_sessions(
                connection,
                actor.id,
                query.session_id,
                self.clock(),
                after=after and after.id,
                limit=query.limit,
            )
        page = list(found[: query.limit])
        more = cursor_after(_WALK, page[-1].id) if len(found) > query.limit else None
        return SessionPage(total=total, items=page, next_cursor=more)

    async def revoke(self, query: RevokeSessions) -> SessionsRevoked:
        """End one of the actor's sessions, or all but that of the request.

        Raises:
            QueryError: `session_not_found` (404).
        """
        actor, at = require_account(), self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            but = query.session_id if query.revoked is None else None
            change = await store.end_sessions(
                connection, actor.id, "revoked", at, only=query.revoked, but=but
            )
            if change is None and query.revoked is not None:
                raise session_not_found(query.revoked)
            ended = change.session_ids if change else []
            await write_audit(connection, "sessions_revoked", actor.id, at=at, session_ids=ended)
        await self.notifier.publish([change] if change else [])
        return SessionsRevoked(session_ids=ended)
