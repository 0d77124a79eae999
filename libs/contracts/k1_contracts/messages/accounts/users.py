"""Defines users, sessions and API keys, and the queries that read and change them.

Queries about one's own account name no user: the service takes the account from the actor of the message.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.actors import Actor, Role
from k1_contracts.base import NO_NUL, NOT_BLANK, Contract, UtcTime
from k1_contracts.descriptors import LiveMessage, Query
from k1_contracts.ids import KeyId, SessionId, UserId
from k1_contracts.rpc import Cursor, Limit

Email = Annotated[
    str,
    StringConstraints(
        max_length=254, pattern=r'^[^@\s\x00-\x1f\x7f<>()\[\]\\,;:"]+@[^@\s\x00-\x1f\x7f<>()\[\]\\,;:"]+$'
    ),
]
"""An e-mail address; the service compares addresses without regard to case."""
PersonName = Annotated[str, StringConstraints(max_length=100, pattern=NOT_BLANK)]
Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
"""A language, or a language and a country: `en`, `de-AT`."""
SkillLevel = Literal["beginner", "intermediate", "expert"]
Password = Annotated[str, Field(max_length=1024, repr=False)]
"""The service says what a new password must be like (`weak_password`)."""
Secret = Annotated[str, Field(max_length=500, repr=False)]
"""An opaque token or key."""


class ClientInfo(Contract):
    """Where a request comes from, for the audit, the list of sessions and the throttling."""

    address: str | None = Field(default=None, max_length=60)
    user_agent: str | None = Field(default=None, max_length=400, pattern=NO_NUL)


class UserView(Contract):
    """A user, as the user and administrators see it."""

    id: UserId
    email: Email
    name: str
    role: Role
    email_verified: bool
    disabled: bool
    has_password: bool
    """False: signs in by a provider, by a link, or has not accepted the invitation yet."""
    providers: list[str] = Field(default_factory=list[str])
    """The sign-in providers that are linked, for example `google`."""
    skill_level: SkillLevel
    locale: Locale
    created_at: UtcTime
    updated_at: UtcTime
    last_sign_in_at: UtcTime | None = None


class UserPage(Contract):
    total: int
    items: list[UserView]
    next_cursor: Cursor | None = None


class ListUsers(Contract):
    search: str | None = Field(default=None, max_length=100, pattern=NO_NUL)
    """A part of the name or of the address."""
    role: Role | None = None
    disabled: bool | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class GetUser(Contract):
    user_id: UserId


class CreateUser(Contract):
    """Invite someone: a message with a link goes to the address, by which its owner sets a password."""

    email: Email
    name: PersonName
    role: Role = "viewer"
    locale: Locale = "en"


class UpdateUser(Contract):
    """Change what is given."""

    user_id: UserId
    name: PersonName | None = None
    role: Role | None = None
    disabled: bool | None = None


class DeleteUser(Contract):
    user_id: UserId


class UserDeleted(Contract):
    user_id: UserId


class GetMe(Contract):
    """The account of the actor."""


class UpdateMe(Contract):
    """Change what is given of the actor's own profile."""

    name: PersonName | None = None
    skill_level: SkillLevel | None = None
    locale: Locale | None = None


class ChangePassword(Contract):
    """Set another password. All other sessions of the actor end."""

    current_password: str | None = Field(default=None, max_length=1024, repr=False)
    """Needed when the account has a password."""
    new_password: Password
    session_id: SessionId | None = None
    """The session of the request (`sid` of the access token); it stays."""
    client: ClientInfo = ClientInfo()


class PasswordChanged(Contract):
    """Other sessions have ended; the person signs in again there."""

    sessions_ended: int


class SessionView(Contract):
    """A browser or program that is signed in."""

    id: SessionId
    method: Literal["password", "link", "oauth"]
    address: str | None = None
    user_agent: str | None = None
    created_at: UtcTime
    last_used_at: UtcTime
    expires_at: UtcTime
    current: bool
    """Whether the request came from this session."""


class SessionPage(Contract):
    total: int
    items: list[SessionView]
    next_cursor: Cursor | None = None


class ListSessions(Contract):
    """The actor's sessions, the newest first."""

    session_id: SessionId | None = None
    """The session of the request, to mark it."""
    limit: Limit = 50
    cursor: Cursor | None = None


class RevokeSessions(Contract):
    """End one session of the actor, or all but that of the request."""

    revoked: SessionId | None = None
    """The one to end; None: all but `session_id`."""
    session_id: SessionId | None = None
    """The session of the request."""


class SessionsRevoked(Contract):
    session_ids: list[SessionId]


class KeyView(Contract):
    """An API key without its secret."""

    id: KeyId
    name: str
    role: Role
    """What the key may do at most; less if its owner may less."""
    hint: str
    """The beginning of the key, to recognise it by."""
    created_at: UtcTime
    expires_at: UtcTime | None = None
    last_used_at: UtcTime | None = None


class KeyPage(Contract):
    total: int
    items: list[KeyView]
    next_cursor: Cursor | None = None


class ListApiKeys(Contract):
    """The actor's keys that are valid, the newest first."""

    limit: Limit = 50
    cursor: Cursor | None = None


class CreateKey(Contract):
    """Make an API key of the actor, with a role not above the actor's."""

    name: PersonName
    role: Role = "viewer"
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = 90
    """None: it does not expire."""


class KeyCreated(Contract):
    key: KeyView
    secret: Secret
    """The key itself, `k1_...`; it is shown only here."""


class RevokeKey(Contract):
    key_id: KeyId


class KeyRevoked(Contract):
    key_id: KeyId


class VerifyKey(Contract):
    """For the gateway: whose key is this?"""

    key: Secret
    client: ClientInfo = ClientInfo()


class VerifiedKey(Contract):
    key_id: KeyId
    actor: Actor
    """Of the kind `key`: the id and name of the owner, the lower of the roles of owner and key, the client's address."""
    cache_until: UtcTime
    """The gateway may use this response until then, or until a message `live.account.*` names the key or the user."""


class AccessChanged(Contract):
    """Access tokens and keys that are not valid any more."""

    user_id: UserId
    tokens_before: UtcTime | None = None
    """Access tokens of the user with an `iat` before this are invalid, and cached keys of the user have to be verified
    again."""
    session_ids: list[SessionId] = Field(default_factory=list[str])
    """Access tokens with these `sid` are invalid."""
    key_ids: list[KeyId] = Field(default_factory=list[str])
    """These keys have to be verified again."""
    at: UtcTime


class ListRevocations(Contract):
    """What changed within the lifetime of an access token, for a gateway that starts or reconnects."""


class RevocationList(Contract):
    items: list[AccessChanged]


USER_LIST: Final = Query("rpc.accounts.user.list", ListUsers, UserPage, summary="The users", role="admin")
USER_GET: Final = Query("rpc.accounts.user.get", GetUser, UserView, summary="One user", role="admin")
USER_CREATE: Final = Query(
    "rpc.accounts.user.create", CreateUser, UserView, summary="Invite a user", role="admin"
)
USER_UPDATE: Final = Query(
    "rpc.accounts.user.update", UpdateUser, UserView, summary="Change a user", role="admin"
)
USER_DELETE: Final = Query(
    "rpc.accounts.user.delete", DeleteUser, UserDeleted, summary="Delete a user", role="admin"
)
ME_GET: Final = Query("rpc.accounts.me.get", GetMe, UserView, summary="The own account")
ME_UPDATE: Final = Query("rpc.accounts.me.update", UpdateMe, UserView, summary="Change the own profile")
ME_PASSWORD: Final = Query(
    "rpc.accounts.me.password", ChangePassword, PasswordChanged, summary="Change the own password"
)
SESSION_LIST: Final = Query(
    "rpc.accounts.session.list", ListSessions, SessionPage, summary="The own sessions"
)
SESSION_REVOKE: Final = Query(
    "rpc.accounts.session.revoke", RevokeSessions, SessionsRevoked, summary="End own sessions"
)
KEY_LIST: Final = Query("rpc.accounts.key.list", ListApiKeys, KeyPage, summary="The own API keys")
KEY_CREATE: Final = Query("rpc.accounts.key.create", CreateKey, KeyCreated, summary="Make an API key")
KEY_REVOKE: Final = Query("rpc.accounts.key.revoke", RevokeKey, KeyRevoked, summary="Revoke an API key")
KEY_VERIFY: Final = Query("rpc.accounts.key.verify", VerifyKey, VerifiedKey, summary="Verify an API key")
REVOCATION_LIST: Final = Query(
    "rpc.accounts.revocation.list", ListRevocations, RevocationList, summary="Access that was just revoked"
)
ACCESS_CHANGED: Final = LiveMessage(
    "live.account.{user_id}",
    AccessChanged,
    summary="Tokens or keys of a user are not valid any more",
    senders=("accounts",),
    receivers=("gateway",),
)
