"""Lists the endpoints of accounts: signing up, in and out; the own account; the users."""

from typing import Any, Final, Literal

from pydantic import BaseModel

from k1_contracts.descriptors import Query
from k1_contracts.messages.accounts import authentication, users
from k1_gateway.accounts import oauth, sign_in
from k1_gateway.accounts.own_account import relay_with_client
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import BODY_PROBLEMS, INVALID, UNAVAILABLE

_BODY: Final = {**BODY_PROBLEMS, 422: "`invalid_parameter`, `invalid_body`", **UNAVAILABLE}
_ATTEMPTS: Final = {
    429: "`too_many_attempts`: for this address or account, try again after `Retry-After` seconds"
}
_WEAK: Final = {422: "`weak_password`, `invalid_parameter`, `invalid_body`"}
_BAD_TOKEN: Final = {400: "`token_invalid`: wrong, used or expired; `malformed_json`"}
_NO_ACCOUNT: Final = {403: "`no_account`: machines, and everyone while sign-in is off, have none"}
_OWN: Final = {**INVALID, **UNAVAILABLE, **_NO_ACCOUNT}
_NO_USER: Final = {404: "`user_not_found`", **INVALID, **UNAVAILABLE}
_LAST_ADMIN: Final = {409: "`last_admin`: make another user an administrator first"}


def _public(
    path: str,
    operation_id: str,
    summary: str,
    query: Query[Any, Any],
    *,
    fields: tuple[str, ...],
    problems: dict[int, str],
    status: int = 200,
) -> Endpoint:
    """Return an endpoint that needs no sign-in and only asks accounts."""
    return Endpoint(
        "POST",
        path,
        operation_id,
        "Accounts",
        summary,
        relay_with_client,
        query=query,
        body_fields=fields,
        responses={status: ("Done", query.response)},
        problems=problems,
        public=True,
        rate_limit="logins",
    )


def _session(
    path: str,
    operation_id: str,
    summary: str,
    query: Query[Any, Any],
    *,
    form: type[Any],
    problems: dict[int, str],
) -> Endpoint:
    """Return an endpoint that starts a session."""
    return Endpoint(
        "POST",
        path,
        operation_id,
        "Accounts",
        summary,
        sign_in.sign_in,
        query=query,
        parameter_model=form,
        body_fields=tuple(form.model_fields),
        responses={200: ("The session", sign_in.SessionStarted)},
        problems=problems,
        public=True,
        rate_limit="logins",
    )


def _account(
    method: Literal["GET", "POST", "PATCH", "DELETE"],
    path: str,
    operation_id: str,
    summary: str,
    query: Query[Any, Any],
    *,
    problems: dict[int, str],
    params: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
    status: int = 200,
) -> Endpoint:
    """Return an endpoint for people who are signed in."""
    response: tuple[str, type[BaseModel]] = (summary, query.response)
    return Endpoint(
        method,
        path,
        operation_id,
        "Accounts",
        summary,
        relay_with_client,
        query=query,
        query_params=params,
        body_fields=fields,
        responses={status: response},
        problems=problems,
    )


_SIGNING_IN: Final = (
    _public(
        "/auth/register", "register", "Ask for an account; a message with a link goes to the address",
        authentication.AUTH_REGISTER, status=202, fields=("email", "password", "name", "locale"),
        problems={**_BODY, **_WEAK, **_ATTEMPTS, 403: "`sign_up_closed`: ask an administrator for an invitation"},
    ),
    _public(
        "/auth/verify", "verifyEmail", "Confirm an e-mail address by the token of the message",
        authentication.AUTH_VERIFY, fields=("token",), problems={**_BODY, **_BAD_TOKEN},
    ),
    _session(
        "/auth/login", "logIn", "Sign in with e-mail address and password", authentication.AUTH_LOGIN,
        form=sign_in.LoginForm,
        problems={
            **_BODY, **_ATTEMPTS, 401: "`sign_in_failed`: address or password is wrong",
            403: "`email_not_verified`: follow the link in the message",
        },
    ),
    _session(
        "/auth/link", "logInByLink", "Sign in by a token that works once, for example that of `k1 up`",
        authentication.AUTH_LINK, form=sign_in.LinkForm, problems={**_BODY, **_BAD_TOKEN},
    ),
    Endpoint(
        "POST", "/auth/refresh", "refreshSession", "Accounts",
        "Get new tokens for a refresh token, which then is not valid any more; without one in the body that of the cookie",
        sign_in.refresh, query=authentication.AUTH_REFRESH, parameter_model=sign_in.RefreshForm,
        body_fields=("refresh_token",), responses={200: ("The session", sign_in.SessionStarted)},
        problems={
            **_BODY, 401: "`session_ended`: sign in; `refresh_token_reused`: the session was ended, as the token was "
            "used twice", 403: "`csrf_header_required`: a browser must send X-K1-CSRF",
        },
        public=True, rate_limit="changes",
    ),
    Endpoint(
        "POST", "/auth/logout", "logOut", "Accounts", "End the session, and remove its cookies",
        sign_in.sign_out, query=authentication.AUTH_LOGOUT, parameter_model=sign_in.LogoutForm,
        body_fields=("refresh_token",), responses={204: ("Signed out", None)},
        problems={**_BODY, 403: "`csrf_header_required`: a browser must send X-K1-CSRF"}, public=True,
    ),
    _public(
        "/auth/forgot", "forgotPassword", "Ask for a message with a link that sets another password",
        authentication.AUTH_FORGOT, status=202, fields=("email",), problems={**_BODY, **_ATTEMPTS},
    ),
    _public(
        "/auth/reset", "resetPassword", "Set a password by the token of a message, or accept an invitation",
        authentication.AUTH_RESET, fields=("token", "new_password"), problems={**_BODY, **_WEAK, **_BAD_TOKEN},
    ),
    Endpoint(
        "GET", "/auth/providers", "listProviders", "Accounts", "The providers with which one can sign in",
        relay_with_client, query=authentication.PROVIDER_LIST,
        responses={200: ("The providers", authentication.ProviderList)}, problems={**INVALID, **UNAVAILABLE},
        public=True,
    ),
    Endpoint(
        "GET", "/auth/oauth/{provider}", "beginOauth", "Accounts",
        "Send the browser to a provider to sign in; failures lead to /sign-in?error=CODE",
        oauth.begin, query=authentication.OAUTH_START, parameter_model=oauth.BeginOAuth, query_params=("return_to",),
        responses={302: ("To the provider, or to the sign-in page", None)}, problems=INVALID, public=True,
        rate_limit="logins",
    ),
    Endpoint(
        "GET", "/auth/oauth/{provider}/callback", "finishOauth", "Accounts",
        "Where a provider sends the browser back; failures lead to /sign-in?error=CODE",
        oauth.finish, query=authentication.OAUTH_FINISH, parameter_model=oauth.OAuthCallback, query_params=("state", "code", "error"),
        responses={302: ("To the page that the person wanted, or to the sign-in page", None)}, problems={},
        public=True, rate_limit="logins",
    ),
)  # fmt: skip

_ME: Final = (
    _account("GET", "/me", "getMe", "The own account", users.ME_GET, problems=_OWN),
    _account(
        "PATCH", "/me", "updateMe", "Change the own profile", users.ME_UPDATE,
        fields=("name", "skill_level", "locale"), problems={**_BODY, **_NO_ACCOUNT},
    ),
    _account(
        "POST", "/me/password", "changePassword", "Change the own password; all other sessions end",
        users.ME_PASSWORD, fields=("current_password", "new_password"),
        problems={**_BODY, **_WEAK, **_ATTEMPTS, 403: f"`wrong_password`; {_NO_ACCOUNT[403]}"},
    ),
    _account(
        "GET", "/me/sessions", "listSessions", "The own sessions, the newest first", users.SESSION_LIST,
        params=("limit", "cursor"), problems={**_OWN, 422: "`invalid_parameter`, `invalid_cursor`"},
    ),
    _account(
        "DELETE", "/me/sessions", "revokeOtherSessions", "End all own sessions but this", users.SESSION_REVOKE,
        problems=_OWN,
    ),
    _account(
        "DELETE", "/me/sessions/{revoked}", "revokeSession", "End one of the own sessions", users.SESSION_REVOKE,
        problems={404: "`session_not_found`", **_OWN},
    ),
    _account(
        "GET", "/me/keys", "listApiKeys", "The own API keys, the newest first", users.KEY_LIST,
        params=("limit", "cursor"), problems={**_OWN, 422: "`invalid_parameter`, `invalid_cursor`"},
    ),
    _account(
        "POST", "/me/keys", "createApiKey", "Make an API key; it is shown only in this answer", users.KEY_CREATE,
        fields=("name", "role", "expires_in_days"), status=201,
        problems={**_BODY, 403: f"`role_too_high`: above your own; {_NO_ACCOUNT[403]}", 409: "`too_many_keys`"},
    ),
    _account(
        "DELETE", "/me/keys/{key_id}", "revokeApiKey", "Revoke an API key at once", users.KEY_REVOKE,
        problems={404: "`key_not_found`", **_OWN},
    ),
)  # fmt: skip

_USERS: Final = (
    _account(
        "GET", "/users", "listUsers", "The users", users.USER_LIST,
        params=("search", "role", "disabled", "limit", "cursor"),
        problems={422: "`invalid_parameter`, `invalid_cursor`", **UNAVAILABLE},
    ),
    _account(
        "POST", "/users", "createUser", "Invite a user; a message with a link goes to the address",
        users.USER_CREATE, fields=("email", "name", "role", "locale"), status=201,
        problems={**_BODY, 409: "`user_exists`"},
    ),
    _account("GET", "/users/{user_id}", "getUser", "One user", users.USER_GET, problems=_NO_USER),
    _account(
        "PATCH", "/users/{user_id}", "updateUser", "Change the name or role of a user, disable or enable it",
        users.USER_UPDATE, fields=("name", "role", "disabled"), problems={**_BODY, **_NO_USER, **_LAST_ADMIN,
        422: "`invalid_parameter`, `invalid_body`"},
    ),
    _account(
        "DELETE", "/users/{user_id}", "deleteUser", "Delete a user, with sessions and keys", users.USER_DELETE,
        problems={**_NO_USER, **_LAST_ADMIN},
    ),
)  # fmt: skip

ACCOUNTS: Final = (*_SIGNING_IN, *_ME, *_USERS)
