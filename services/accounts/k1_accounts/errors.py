"""The errors of accounts, each with its code. None tells whether an address has an account."""

from http import HTTPStatus

from k1_contracts.actors import Role
from k1_platform.nats.queries.rpc import QueryError


def sign_in_failed() -> QueryError:
    message = "The address or the password is wrong, or the account may not sign in."
    return QueryError("sign_in_failed", message, HTTPStatus.UNAUTHORIZED)


def email_not_verified() -> QueryError:
    message = "Confirm your e-mail address first: a message with a link was sent to it."
    return QueryError("email_not_verified", message, HTTPStatus.FORBIDDEN)


def provider_email_not_verified() -> QueryError:
    message = "The provider does not vouch for an e-mail address of yours; confirm one there first."
    return QueryError("email_not_verified", message, HTTPStatus.FORBIDDEN)


def account_disabled() -> QueryError:
    message = "This account is disabled; ask an administrator."
    return QueryError("account_disabled", message, HTTPStatus.FORBIDDEN)


def sign_up_closed() -> QueryError:
    message = "Nobody can sign up here; ask an administrator for an invitation."
    return QueryError("sign_up_closed", message, HTTPStatus.FORBIDDEN)


def too_many_attempts(retry_after_s: int) -> QueryError:
    message = f"Too many attempts; try again in {retry_after_s} s."
    return QueryError("too_many_attempts", message, HTTPStatus.TOO_MANY_REQUESTS, retry_after_s=retry_after_s)


def busy() -> QueryError:
    message = "Too many people sign in at this moment; try again in a few seconds."
    return QueryError("service_unavailable", message, HTTPStatus.SERVICE_UNAVAILABLE, retry_after_s=3)


def session_ended() -> QueryError:
    message = "The session has ended; sign in again."
    return QueryError("session_ended", message, HTTPStatus.UNAUTHORIZED)


def refresh_token_reused() -> QueryError:
    message = "This refresh token was used before, so someone may have copied it; the session has ended. Sign in again."
    return QueryError("refresh_token_reused", message, HTTPStatus.UNAUTHORIZED)


def token_invalid() -> QueryError:
    message = "The link is not valid any more: it was used, or it is too old. Ask for another one."
    return QueryError("token_invalid", message, HTTPStatus.BAD_REQUEST)


def weak_password(reason: str) -> QueryError:
    return QueryError("weak_password", reason, HTTPStatus.UNPROCESSABLE_ENTITY)


def wrong_password() -> QueryError:
    message = "The current password is wrong."
    return QueryError("wrong_password", message, HTTPStatus.FORBIDDEN)


def no_account() -> QueryError:
    message = "This is about a user's own account, and the request was not made by a user; sign in."
    return QueryError("no_account", message, HTTPStatus.FORBIDDEN)


def session_not_found(session_id: str) -> QueryError:
    message = f"You have no session {session_id}; it may have ended."
    return QueryError("session_not_found", message, HTTPStatus.NOT_FOUND)


def key_not_found(key_id: str) -> QueryError:
    message = f"You have no key {key_id}; it may have been revoked."
    return QueryError("key_not_found", message, HTTPStatus.NOT_FOUND)


def key_invalid() -> QueryError:
    message = "The API key is wrong, expired or revoked; make another one."
    return QueryError("key_invalid", message, HTTPStatus.UNAUTHORIZED)


def role_too_high(role: Role, own: Role) -> QueryError:
    message = f"A key cannot have the role {role}: you are {own}."
    return QueryError("role_too_high", message, HTTPStatus.FORBIDDEN)


def too_many_keys(most: int) -> QueryError:
    message = f"You have {most} keys already; revoke one first."
    return QueryError("too_many_keys", message, HTTPStatus.CONFLICT)


def user_not_found(user_id: str) -> QueryError:
    return QueryError("user_not_found", f"There is no user {user_id}.", HTTPStatus.NOT_FOUND)


def user_exists(email: str) -> QueryError:
    return QueryError("user_exists", f"There is a user {email} already.", HTTPStatus.CONFLICT)


def last_admin() -> QueryError:
    message = "This is the last administrator who can sign in; make someone else an administrator first."
    return QueryError("last_admin", message, HTTPStatus.CONFLICT)


def provider_not_found(provider: str) -> QueryError:
    message = f"There is no sign-in provider {provider}."
    return QueryError("provider_not_found", message, HTTPStatus.NOT_FOUND)


def provider_unavailable(name: str) -> QueryError:
    message = f"{name} does not answer as it should; try again, or sign in in another way."
    return QueryError("provider_unavailable", message, HTTPStatus.SERVICE_UNAVAILABLE)


def oauth_failed(reason: str) -> QueryError:
    return QueryError("oauth_failed", f"{reason}; start the sign-in again.", HTTPStatus.BAD_REQUEST)
