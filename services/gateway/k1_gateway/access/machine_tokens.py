"""Verifies bearer tokens of trusted OpenID Connect issuers, by which machines sign in without a user."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from k1_contracts.actors import ROLES, Actor, Role
from k1_gateway.access.identity import Identity
from k1_gateway.access.key_cache import KeyCache
from k1_gateway.access.tokens import (
    Claims,
    Key,
    TokenError,
    TokenRules,
    Unverified,
    import_keys,
    verify_token,
)
from k1_gateway.settings import OidcIssuer

_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt", "")
_MAX_TEXT: Final = 200
FetchJson = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Returns the JSON object behind a URL."""


class MachineTokens:
    """Tokens of one trusted issuer."""

    def __init__(self, issuer: OidcIssuer, fetch: FetchJson, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since the epoch."""
        self._issuer = issuer
        self._fetch = fetch
        self._rules = TokenRules(issuer.issuer, issuer.audience, _ALGORITHMS, _TYPES)
        self._keys = KeyCache(self._fetch_keys)
        self._clock = clock

    async def identify(self, token: str, named: Unverified, address: str | None) -> Identity:
        """Return the machine of a token that came from this address.

        Raises:
            TokenError: the token is not valid, or holds no role.
            TransientError: the issuer does not answer, and its keys are not known.
        """
        found = await self._keys.find(named.key_id or "")
        if found is None:
            raise TokenError("it was signed with a key that its issuer does not publish")
        claims = verify_token(token, found[1], self._rules, self._clock())
        subject = str(claims["sub"])[:_MAX_TEXT]
        name = next((text for each in ("name", "client_id", "azp") if (text := _text(claims, each))), subject)
        role = highest_role(claims, self._issuer.role_claim, self._issuer.roles)
        actor = Actor(kind="machine", id=subject, name=name, role=role, address=address)
        return Identity(actor, float(claims["exp"]), issued_at_s=float(claims["iat"]))

    async def _fetch_keys(self) -> tuple[None, dict[str, Key]]:
        return None, import_keys(await self._fetch(self._issuer.jwks_url))


def highest_role(claims: Claims, path: str, roles: Mapping[str, Role]) -> Role:
    """Return the highest role that the values of a claim map to; `path` has dots between names.

    A claim that is a text holds values separated by spaces, as `scope` does.

    Raises:
        TokenError: no value maps to a role.
    """
    value: object = claims
    for name in path.split("."):
        value = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    values = value.split() if isinstance(value, str) else value
    given = (
        [each for each in cast("list[object]", values) if isinstance(each, str)]
        if isinstance(values, list)
        else []
    )
    found = [roles[each] for each in given if each in roles]
    if not found:
        raise TokenError(f"its claim {path} names no role of this system")
    return next(role for role in reversed(ROLES) if role in found)


def _text(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    return value[:_MAX_TEXT] if isinstance(value, str) and value else None
