"""Defines the queries by which people sign up, sign in, stay signed in and sign out.

They are sent before anyone is signed in, so they carry no actor; `client` says where the request comes from.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import SessionId
from k1_contracts.messages.accounts.users import (
    ClientInfo,
    Email,
    Locale,
    Password,
    PasswordChanged,
    PersonName,
    Secret,
    UserView,
)

ProviderId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
LocalPath = Annotated[str, StringConstraints(max_length=500, pattern=r"^/([^/\\\x00-\x20][^\\\x00-\x20]*)?$")]
"""A path on the same site; never another host."""


class Register(Contract):
    """Ask for an account; a message with a link goes to the address."""

    email: Email
    password: Password
    name: PersonName
    locale: Locale = "en"
    client: ClientInfo = ClientInfo()


class RequestAccepted(Contract):
    """The same response whether the address has an account or not."""

    message: str


class VerifyEmail(Contract):
    """Confirm an address by the token of the message."""

    token: Secret
    client: ClientInfo = ClientInfo()


class EmailVerified(Contract):
    email: Email


class Login(Contract):
    email: Email
    password: Password
    client: ClientInfo = ClientInfo()


class SignedIn(Contract):
    """A session with its tokens."""

    session_id: SessionId
    access_token: str = Field(max_length=4000, repr=False)
    """A JWT, signed with EdDSA."""
    access_expires_at: UtcTime
    refresh_token: Secret
    """Opaque; each use gives another one."""
    refresh_expires_at: UtcTime
    user: UserView


class Refresh(Contract):
    """Exchange a refresh token for new tokens."""

    refresh_token: Secret
    client: ClientInfo = ClientInfo()


class Logout(Contract):
    """End the session of a refresh token, or that of an access token."""

    refresh_token: str | None = Field(default=None, max_length=500, repr=False)
    session_id: SessionId | None = None
    """`sid` of the access token of the actor."""
    client: ClientInfo = ClientInfo()


class SignedOut(Contract):
    """The session has ended, or there was none."""

    session_id: SessionId | None = None


class ForgotPassword(Contract):
    """Ask for a message with a link that sets another password."""

    email: Email
    client: ClientInfo = ClientInfo()


class ResetPassword(Contract):
    """Set a password by the token of a message: a forgotten password, or an invitation."""

    token: Secret
    new_password: Password
    client: ClientInfo = ClientInfo()


class SignInByLink(Contract):
    """Sign in by a token that works once, for example that of `k1 up`."""

    token: Secret
    client: ClientInfo = ClientInfo()


class GetJwks(Contract):
    """The keys by which access tokens are verified."""


class Jwk(Contract):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    x: str
    kid: str
    alg: Literal["EdDSA"] = "EdDSA"
    use: Literal["sig"] = "sig"


class JwkSet(Contract):
    keys: list[Jwk]
    """The newest, which signs, first."""
    issuer: str
    """`iss` of the access tokens."""
    audience: str
    """`aud` of the access tokens."""


class ListProviders(Contract):
    """How one may sign in."""


class Provider(Contract):
    id: ProviderId
    name: str
    """For example `Google`."""


class ProviderList(Contract):
    items: list[Provider]
    sign_up: Literal["open", "invited"]


class StartOAuth(Contract):
    """Begin a sign-in with a provider."""

    provider: ProviderId
    return_to: LocalPath = "/"
    client: ClientInfo = ClientInfo()


class OAuthStarted(Contract):
    authorization_url: str
    """Where to redirect the browser."""
    browser_token: Secret
    """Put it in an HttpOnly cookie of this browser; the callback needs it."""
    expires_at: UtcTime


class FinishOAuth(Contract):
    """What the provider sent to the callback."""

    provider: ProviderId
    browser_token: Secret
    state: Secret
    code: str | None = Field(default=None, max_length=4000, repr=False)
    error: str | None = Field(default=None, max_length=200)
    """The provider's error code, for example `access_denied`."""
    client: ClientInfo = ClientInfo()


class OAuthFinished(Contract):
    signed_in: SignedIn
    return_to: LocalPath


AUTH_REGISTER: Final = Query(
    "rpc.accounts.auth.register", Register, RequestAccepted, summary="Ask for an account"
)
AUTH_VERIFY: Final = Query(
    "rpc.accounts.auth.verify", VerifyEmail, EmailVerified, summary="Confirm an address"
)
AUTH_LOGIN: Final = Query("rpc.accounts.auth.login", Login, SignedIn, summary="Sign in with a password")
AUTH_REFRESH: Final = Query(
    "rpc.accounts.auth.refresh", Refresh, SignedIn, summary="Exchange a refresh token"
)
AUTH_LOGOUT: Final = Query("rpc.accounts.auth.logout", Logout, SignedOut, summary="End a session")
AUTH_FORGOT: Final = Query(
    "rpc.accounts.auth.forgot", ForgotPassword, RequestAccepted, summary="Ask for another password"
)
AUTH_RESET: Final = Query(
    "rpc.accounts.auth.reset", ResetPassword, PasswordChanged, summary="Set a password by a token"
)
AUTH_LINK: Final = Query(
    "rpc.accounts.auth.link", SignInByLink, SignedIn, summary="Sign in by a one-time link"
)
JWKS_GET: Final = Query(
    "rpc.accounts.jwks.get", GetJwks, JwkSet, summary="The keys that verify access tokens"
)
PROVIDER_LIST: Final = Query(
    "rpc.accounts.auth.providers", ListProviders, ProviderList, summary="The sign-in providers"
)
OAUTH_START: Final = Query(
    "rpc.accounts.oauth.start", StartOAuth, OAuthStarted, summary="Begin a sign-in with a provider"
)
OAUTH_FINISH: Final = Query(
    "rpc.accounts.oauth.finish", FinishOAuth, OAuthFinished, summary="End a sign-in with a provider"
)
