"""Finds the credential of a request: a bearer token, an API key or a cookie. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_KEY_PREFIX: Final = "k1_"
_MAX_TOKEN: Final = 8_000
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that has not been verified."""

    text: str
    by_cookie: bool = False
    """Browsers add cookies to every request, also to those that a foreign page causes."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key that has not been verified."""

    text: str


class CredentialError(ValueError):
    """The request names a credential in a form that is none, or two of them."""


def find_credential(
    authorization: list[str],
    api_key: list[str],
    cookies: Mapping[str, str],
    cookie_name: str,
) -> Token | ApiKey | None:
    """Return the credential; headers have priority over the cookie. None: the request has none.

    Args:
        authorization: the values of the header Authorization.
        api_key: the values of the header X-API-Key.
        cookies: the cookies of the request.
        cookie_name: the name of the cookie that holds an access token.

    Raises:
        CredentialError: the sentence says what to send instead.
    """
    if len(authorization) + len(api_key) > 1:
        raise CredentialError("Send one credential, in Authorization or in X-API-Key")
    if authorization:
        match = _BEARER.fullmatch(authorization[0].strip())
        if match is None:
            raise CredentialError("Authorization must be `Bearer`, a space, and a token or an API key")
        text = _checked(match[1])
        return ApiKey(text) if text.startswith(_KEY_PREFIX) else Token(text)
    if api_key:
        text = _checked(api_key[0].strip())
        if not text.startswith(_KEY_PREFIX):
            raise CredentialError(f"X-API-Key must hold an API key; they begin with {_KEY_PREFIX}")
        return ApiKey(text)
    if cookie := cookies.get(cookie_name):
        return Token(_checked(cookie), by_cookie=True)
    return None


def _checked(text: str) -> str:
    if len(text) > _MAX_TOKEN or not _TOKEN.fullmatch(text):
        raise CredentialError("The credential has characters or a length that no token has")
    return text
