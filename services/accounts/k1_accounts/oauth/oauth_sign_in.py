"""Signs people in with a provider, and links the provider's identity to an account by a verified address."""

import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from k1_accounts import errors
from k1_accounts.audit import actor_for, unknown_actor, write_audit
from k1_accounts.oauth.identity import FlowSecrets, Identity, ProviderError, RefusedError
from k1_accounts.oauth.providers import Provider
from k1_accounts.one_time_tokens import delete_tokens
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.tokens import hash_secret, new_secret
from k1_accounts.users import store
from k1_contracts.messages.accounts.authentication import (
    FinishOAuth,
    ListProviders,
    OAuthFinished,
    OAuthStarted,
    ProviderList,
    StartOAuth,
)
from k1_contracts.messages.accounts.authentication import Provider as ProviderView
from k1_contracts.messages.accounts.users import ClientInfo, UserView
from k1_platform.postgres.pool import Connection, Pool

LIFETIME: Final = timedelta(minutes=10)
"""How long a person may take at the provider."""
_ERROR_CODE: Final = re.compile(r"[a-z_]{1,60}")
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f<>()\[\]\\,;:\"]+@[^@\s\x00-\x1f\x7f<>()\[\]\\,;:\"]+")
_MAX_EMAIL: Final = 254
_MAX_NAME: Final = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OAuthSignIn:
    """Sign-in with the providers of the settings."""

    pool: Pool
    providers: Mapping[str, Provider]
    sessions: SessionService
    sign_up: Literal["open", "invited"]
    public_url: str
    clock: Callable[[], datetime]

    async def list_providers(self, _: ListProviders) -> ProviderList:
        """Return how one may sign in."""
        items = [ProviderView(id=each.id, name=each.name) for each in self.providers.values()]
        return ProviderList(items=items, sign_up=self.sign_up)

    async def start(self, query: StartOAuth) -> OAuthStarted:
        """Begin a sign-in.

        Raises:
            QueryError: `provider_not_found` (404), `provider_unavailable` (503).
        """
        provider, browser_token = self._require_provider(query.provider), new_secret()
        secrets, until = FlowSecrets.derive(browser_token), self.clock() + LIFETIME
        try:
            url = await provider.authorization_url(secrets, self._redirect_uri(provider))
        except (ProviderError, RefusedError) as error:
            raise self._unavailable(provider, error) from error
        async with self.pool.acquire() as connection:
            await connection.execute(
                "INSERT INTO accounts.oauth_flows (state_hash, provider, return_to, expires_at)"
                " VALUES ($1, $2, $3, $4)",
                hash_secret(secrets.state),
                provider.id,
                query.return_to,
                until,
            )
        return OAuthStarted(authorization_url=url, browser_token=browser_token, expires_at=until)

    async def finish(self, query: FinishOAuth) -> OAuthFinished:
        """End a sign-in with what the provider sent to the callback, and open a session.

        Raises:
            QueryError: `oauth_failed` (400), `email_not_verified`, `sign_up_closed`, `account_disabled` (403),
                `provider_not_found` (404), `provider_unavailable` (503).
        """
        provider, secrets = (
            self._require_provider(query.provider),
            FlowSecrets.derive(query.browser_token),
        )
        if not hmac.compare_digest(secrets.state.encode(), query.state.encode("utf-8", "replace")):
            raise errors.oauth_failed("This sign-in was not begun in this browser")
        return_to = await self._take_flow(provider, secrets)
        if query.error is not None or query.code is None:
            code = _ERROR_CODE.fullmatch(query.error or "")
            raise errors.oauth_failed(f"{provider.name} did not sign you in{f' ({code[0]})' if code else ''}")
        try:
            identity = await provider.identify(query.code, secrets, self._redirect_uri(provider))
        except RefusedError as error:
            raise errors.oauth_failed(str(error)) from error
        except ProviderError as error:
            raise self._unavailable(provider, error) from error
        async with self.pool.acquire() as connection, connection.transaction():
            found = await self._user_of(connection, provider, identity, query.client)
            user = await store.get_user(connection, found.id, lock=True)
            if user is None or user.disabled:
                raise errors.account_disabled()
            signed_in = await self.sessions.open(connection, user, "oauth", query.client)
        return OAuthFinished(signed_in=signed_in, return_to=return_to)

    async def _take_flow(self, provider: Provider, secrets: FlowSecrets) -> str:
        """Return where to go after the sign-in; it ends by this, so nothing can be replayed."""
        return_to = await self.pool.fetchval(
            "DELETE FROM accounts.oauth_flows WHERE state_hash = $1 AND provider = $2 AND expires_at > $3"
            " RETURNING return_to",
            hash_secret(secrets.state),
            provider.id,
            self.clock(),
        )
        if return_to is None:
            raise errors.oauth_failed("This sign-in was ended before, or took too long")
        return return_to

    async def _user_of(
        self, connection: Connection, provider: Provider, identity: Identity, client: ClientInfo
    ) -> UserView:
        """Return the user of an identity; the first time link it by its verified address, or add the user."""
        linked = await store.find_by_identity(connection, provider.id, identity.subject)
        if linked is not None:
            return linked
        email = store.normal_email(identity.email or "")
        if not identity.email_verified or len(email) > _MAX_EMAIL or not _EMAIL.fullmatch(email):
            raise errors.provider_email_not_verified()
        user = await store.find_user(connection, email, lock=True)
        if user is None:
            user = await self._add_user(connection, email, identity, client)
        elif not user.email_verified:
            await self._take_over(connection, user)
        if user.disabled:
            raise errors.account_disabled()
        at = self.clock()
        await store.insert_identity(connection, provider.id, identity.subject, user.id, email=email, at=at)
        actor = actor_for(user, client)
        await write_audit(connection, "identity_linked", user.id, at=at, actor=actor, provider=provider.id)
        found = await store.find_by_identity(connection, provider.id, identity.subject)
        assert found is not None, "it was linked, here or by another process"
        return found

    async def _add_user(
        self, connection: Connection, email: str, identity: Identity, client: ClientInfo
    ) -> UserView:
        if self.sign_up != "open":
            raise errors.sign_up_closed()
        name = " ".join((identity.name or "").replace("\x00", "").split())[:_MAX_NAME]
        at = self.clock()
        await store.insert_user(
            connection,
            email=email,
            name=name or email.partition("@")[0][:_MAX_NAME],
            role="viewer",
            locale="en",
            verified=True,
            at=at,
        )
        user = await store.find_user(connection, email, lock=True)
        assert user is not None, "it was added, here or by another process"
        await write_audit(connection, "registered", user.id, at=at, actor=unknown_actor(client))
        return user

    async def _take_over(self, connection: Connection, user: UserView) -> None:
        """Confirm the address of an account, and remove the password: someone else may have signed up with it.

        There are no sessions, as nobody signs in before the address is confirmed.
        """
        at = self.clock()
        await store.delete_password(connection, user.id)
        await delete_tokens(connection, user.id)
        await store.mark_verified(connection, user.id, at)

    def _require_provider(self, provider_id: str) -> Provider:
        provider = self.providers.get(provider_id)
        if provider is None:
            raise errors.provider_not_found(provider_id)
        return provider

    def _redirect_uri(self, provider: Provider) -> str:
        return f"{self.public_url.rstrip('/')}/api/v1/auth/oauth/{provider.id}/callback"

    def _unavailable(self, provider: Provider, error: Exception) -> Exception:
        _log.warning("provider unavailable", extra={"provider": provider.id, "reason": str(error)})
        return errors.provider_unavailable(provider.name)
