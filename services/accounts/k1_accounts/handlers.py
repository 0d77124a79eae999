"""The index of the service: every subject that accounts serves, and what handles it.

Accounts subscribes to no events. It publishes `live.account.{user_id}` (`revocations.py`).
"""

from k1_accounts.administration.user_queries import UserQueries
from k1_accounts.keys.queries import KeyQueries
from k1_accounts.oauth.oauth_sign_in import OAuthSignIn
from k1_accounts.revocations import RevocationQueries
from k1_accounts.sessions.queries import SessionQueries
from k1_accounts.sessions.session_service import SessionService
from k1_accounts.sign_in.password_sign_in import PasswordSignIn
from k1_accounts.sign_in.recovery import Recovery
from k1_accounts.sign_in.registration import Registration
from k1_contracts.messages.accounts.authentication import (
    AUTH_FORGOT,
    AUTH_LINK,
    AUTH_LOGIN,
    AUTH_LOGOUT,
    AUTH_REFRESH,
    AUTH_REGISTER,
    AUTH_RESET,
    AUTH_VERIFY,
    JWKS_GET,
    OAUTH_FINISH,
    OAUTH_START,
    PROVIDER_LIST,
)
from k1_contracts.messages.accounts.users import (
    KEY_CREATE,
    KEY_LIST,
    KEY_REVOKE,
    KEY_VERIFY,
    ME_GET,
    ME_PASSWORD,
    ME_UPDATE,
    REVOCATION_LIST,
    SESSION_LIST,
    SESSION_REVOKE,
    USER_CREATE,
    USER_DELETE,
    USER_GET,
    USER_LIST,
    USER_UPDATE,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.postgres.pool import TRANSIENT_ERRORS


def serve_sign_in(
    bus: Bus,
    *,
    registration: Registration,
    passwords: PasswordSignIn,
    recovery: Recovery,
    sessions: SessionService,
    oauth: OAuthSignIn,
) -> None:
    """Subscribe to the queries of people who are not signed in yet."""
    handlers = [
        QueryHandler(AUTH_REGISTER, registration.register),
        QueryHandler(AUTH_VERIFY, registration.verify),
        QueryHandler(AUTH_LOGIN, passwords.login),
        QueryHandler(AUTH_REFRESH, sessions.refresh),
        QueryHandler(AUTH_LOGOUT, sessions.logout),
        QueryHandler(AUTH_FORGOT, recovery.forgot),
        QueryHandler(AUTH_RESET, recovery.reset),
        QueryHandler(AUTH_LINK, recovery.sign_in_by_link),
        QueryHandler(PROVIDER_LIST, oauth.list_providers),
        QueryHandler(OAUTH_START, oauth.start),
        QueryHandler(OAUTH_FINISH, oauth.finish),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)


def serve_accounts(
    bus: Bus,
    *,
    users: UserQueries,
    passwords: PasswordSignIn,
    sessions: SessionQueries,
    keys: KeyQueries,
    revocations: RevocationQueries,
) -> None:
    """Subscribe to the queries of users and administrators, and of the gateway."""
    handlers = [
        QueryHandler(ME_GET, users.get_me),
        QueryHandler(ME_UPDATE, users.update_me),
        QueryHandler(ME_PASSWORD, passwords.change_password),
        QueryHandler(SESSION_LIST, sessions.list_sessions),
        QueryHandler(SESSION_REVOKE, sessions.revoke),
        QueryHandler(KEY_LIST, keys.list_keys),
        QueryHandler(KEY_CREATE, keys.create),
        QueryHandler(KEY_REVOKE, keys.revoke),
        QueryHandler(KEY_VERIFY, keys.verify),
        QueryHandler(USER_LIST, users.list_users),
        QueryHandler(USER_GET, users.get_user),
        QueryHandler(USER_CREATE, users.create),
        QueryHandler(USER_UPDATE, users.update),
        QueryHandler(USER_DELETE, users.delete),
        QueryHandler(JWKS_GET, sessions.get_jwks),
        QueryHandler(REVOCATION_LIST, revocations.list_revocations),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)
