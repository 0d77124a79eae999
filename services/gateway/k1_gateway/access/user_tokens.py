"""Verifies the access tokens that accounts signs for users, without asking it: by its published keys."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from k1_contracts.actors import ROLES, Actor
from k1_contracts.messages.accounts.authentication import JwkSet
from k1_gateway.access.identity import Identity
from k1_gateway.access.key_cache import KeyCache
from k1_gateway.access.revocations import Revocations
from k1_gateway.access.tokens import (
    Claims,
    Key,
    TokenError,
    TokenRules,
    Unverified,
    import_keys,
    verify_token,
)

_ALGORITHMS: Final = ("EdDSA",)
_TYPES: Final = ("at+jwt",)


class UserTokens:
    """Access tokens of users."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[JwkSet]],
        revocations: Revocations,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`fetch` asks accounts for its keys; `clock` returns seconds since the epoch."""
        self._fetch = fetch
        self._keys = KeyCache(self._fetch_keys)
        self._revocations = revocations
        self._clock = clock

    async def identify(self, token: str, named: Unverified, address: str | None) -> Identity:
        """Return the user of a token that came from this address.

        Raises:
            TokenError: the token is not valid, or was revoked.
            QueryError: accounts does not answer, and its keys are not known.
        """
        found = await self._keys.find(named.key_id or "")
        if found is None:
            raise TokenError("it was signed with a key that is not in use")
        rules, key = found
        identity = _identity(verify_token(token, key, rules, self._clock()), address)
        if self._revocations.is_revoked(identity):
            raise TokenError("its session has ended")
        return identity

    async def _fetch_keys(self) -> tuple[TokenRules, dict[str, Key]]:
        key_set = await self._fetch()
        rules = TokenRules(key_set.issuer, key_set.audience, _ALGORITHMS, _TYPES)
        return rules, import_keys(key_set.model_dump())


def _identity(claims: Claims, address: str | None) -> Identity:
    actor = Actor(
        kind="user",
        id=_text(claims, "sub"),
        name=_text(claims, "name"),
        role=_role(claims),
        address=address,
    )
    return Identity(
        actor, float(claims["exp"]), issued_at_s=float(claims["iat"]), session_id=_text(claims, "sid")
    )


def _role(claims: Claims) -> Any:
    role = claims.get("role")
    if role not in ROLES:
        raise TokenError("it names no role")
    return role


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:  # noqa: PLR2004  the longest text of an actor
        raise TokenError(f"its claim {name} is not accepted")
    return value
