"""Decides who may send a request: finds the credential, verifies it, and checks the role and the CSRF header."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from aiohttp import web

from k1_contracts.actors import Role
from k1_contracts.messages.accounts.users import AccessChanged, ClientInfo
from k1_gateway.access.api_keys import ApiKeys
from k1_gateway.access.cookies import CSRF_HEADER, Cookies
from k1_gateway.access.credentials import ApiKey, CredentialError, Token, find_credential
from k1_gateway.access.identity import Identity, local_identity
from k1_gateway.access.machine_tokens import MachineTokens
from k1_gateway.access.revocations import Revocations
from k1_gateway.access.tokens import TokenError, Unverified, read_unverified
from k1_gateway.access.user_tokens import UserTokens
from k1_gateway.errors import CHALLENGE, ProblemError
from k1_gateway.limits.rate_limits import RateLimiter
from k1_platform.errors import TransientError
from k1_platform.nats.actors import RoleError, require_role
from k1_platform.nats.queries.rpc import QueryError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_USER_AGENT: Final = 400
_HOW: Final = "Sign in (POST /api/v1/auth/login), or send an API key: `Authorization: Bearer k1_...`"


def client_of(request: web.Request) -> ClientInfo:
    """Return where a request comes from."""
    agent = request.headers.get("User-Agent", "").replace("\0", "")[:_MAX_USER_AGENT]
    return ClientInfo(address=_address(request), user_agent=agent or None)


def _address(request: web.Request) -> str | None:
    return (request.remote or "")[:60] or None


@dataclass(frozen=True, slots=True)
class Gate:
    """Identifies the senders of requests."""

    users: UserTokens
    keys: ApiKeys
    machines: Mapping[str, MachineTokens]
    """By issuer."""
    revocations: Revocations
    cookies: Cookies
    limiter: RateLimiter
    is_off: bool = False
    """Whether sign-in is off: then everyone is the local administrator."""

    async def admit(self, request: web.Request, role: Role) -> Identity:
        """Return the sender of a request, who has at least this role.

        Raises:
            ProblemError: `unauthenticated` (401), `role_required` or `csrf_header_required` (403).
            QueryError: the credential cannot be verified at the moment (503, 504).
        """
        identity = await self.identify(request)
        if identity is None:
            raise _unauthenticated(f"{_HOW}.", None)
        if identity.by_cookie:
            require_csrf_header(request)
        try:
            require_role(identity.actor, role)
        except RoleError as error:
            raise ProblemError("role_required", HTTPStatus.FORBIDDEN, str(error)) from error
        return identity

    async def identify(self, request: web.Request) -> Identity | None:
        """Return the sender of a request; None without a credential.

        Raises:
            ProblemError: `unauthenticated` (401): the credential is not valid.
            QueryError: the credential cannot be verified at the moment (503, 504).
        """
        if self.is_off:
            return local_identity(_address(request))
        headers = request.headers
        try:
            credential = find_credential(
                headers.getall("Authorization", []),
                headers.getall("X-API-Key", []),
                request.cookies,
                self.cookies.access,
            )
            match credential:
                case None:
                    return None
                case ApiKey():
                    return await self._identify_key(request, credential.text)
                case Token():
                    return await self._identify_token(request, credential)
        except CredentialError as error:
            raise _unauthenticated(f"{error}.", "invalid_request") from error
        except TokenError as error:
            detail = f"The access token is not accepted: {error}. Refresh it (POST /api/v1/auth/refresh) or sign in."
            raise _unauthenticated(detail, "invalid_token") from error

    async def _identify_key(self, request: web.Request, key: str) -> Identity:
        client = client_of(request)
        try:
            if self.keys.is_kept(key):
                return await self.keys.identify(key, client)
            # Each key that is not known yet is a query to accounts, so their number is limited by address.
            async with self.limiter.admit("logins", request.remote):
                return await self.keys.identify(key, client)
        except QueryError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            detail = "The API key is not known, was revoked or has expired. Use another one."
            raise _unauthenticated(detail, "invalid_token") from error

    async def _identify_token(self, request: web.Request, token: Token) -> Identity:
        named = read_unverified(token.text)
        issuer = self.machines.get(named.issuer)
        if issuer is not None and not token.by_cookie:
            return await self._identify_machine(issuer, token.text, named, request)
        found = await self.users.identify(token.text, named, _address(request))
        return replace(found, by_cookie=True) if token.by_cookie else found

    async def _identify_machine(
        self, issuer: MachineTokens, token: str, named: Unverified, request: web.Request
    ) -> Identity:
        try:
            return await issuer.identify(token, named, _address(request))
        except TransientError as error:
            detail = "The issuer of the token does not publish its keys at the moment; try again."
            raise ProblemError("service_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, detail) from error

    @contextmanager
    def watching(self, identity: Identity, on_end: Callable[[], None]) -> Generator[None]:
        """Call `on_end` when the access of this identity is revoked or changes while the block runs."""

        def check(change: AccessChanged) -> None:
            if self.revocations.ends(identity, change):
                on_end()

        with self.revocations.watching(check):
            yield


def require_csrf_header(request: web.Request) -> None:
    """Raise ProblemError `csrf_header_required` (403) for a change by cookie without the header that proves its origin."""
    if request.method not in _SAFE and CSRF_HEADER not in request.headers:
        detail = (
            f"A browser that is signed in by cookie must send the header {CSRF_HEADER}: 1 with every change."
        )
        raise ProblemError("csrf_header_required", HTTPStatus.FORBIDDEN, detail)


def _unauthenticated(detail: str, error: str | None) -> ProblemError:
    challenge = CHALLENGE + (f', error="{error}"' if error else "")
    return ProblemError(
        "unauthenticated", HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge}
    )
