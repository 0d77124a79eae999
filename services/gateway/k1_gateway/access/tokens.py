"""Verifies JSON Web Tokens (RFC 7519): signature, algorithm, type, issuer, audience and times. Pure.

EdDSA, as accounts signs, is the name of Ed25519 in RFC 8037; joserfc warns that RFC 9864 has a newer name for it.
"""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey
from joserfc.jws import extract_compact

warnings.filterwarnings("ignore", message="EdDSA is deprecated", module="joserfc")

Key = OKPKey | RSAKey | ECKey
Claims = dict[str, Any]
LEEWAY_S: Final = 5
"""How far the clocks of issuer and gateway may be apart."""


class TokenError(Exception):
    """The token is not valid; the text says why in words that reveal no secret."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token of one issuer must be like."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    """The signature algorithms that are accepted, whatever the token names. Never `none` or one with a shared secret."""
    types: tuple[str, ...]
    """The values of the header `typ` that are accepted, in lower case."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself, to find the key by which it is verified."""

    key_id: str | None
    issuer: str


def read_unverified(token: str) -> Unverified:
    """Return the key id and the issuer that a token names.

    Raises:
        TokenError: it is no signed token.
    """
    try:
        parsed = extract_compact(token.encode())
        claims = jwt.Token(dict(parsed.headers()), _json_object(parsed.payload)).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenError("it is no signed JSON Web Token") from error
    key_id, issuer = parsed.headers().get("kid"), claims.get("iss")
    if not isinstance(issuer, str) or not (key_id is None or isinstance(key_id, str)):
        raise TokenError("it does not name its issuer")
    return Unverified(key_id, issuer)


def verify_token(token: str, key: Key, rules: TokenRules, now_s: float) -> Claims:
    """Return the claims of a valid token.

    Raises:
        TokenError: the signature, the algorithm, the type, the issuer, the audience or a time is wrong.
    """
    registry = jwt.JWTClaimsRegistry(
        now=math.floor(now_s),
        leeway=LEEWAY_S,
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "value": rules.audience},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        parsed = jwt.decode(token, key, algorithms=list(rules.algorithms))
        registry.validate(parsed.claims)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenError(_reason(error)) from error
    if str(parsed.header.get("typ", "")).lower() not in rules.types:
        raise TokenError("it is a token for another purpose")
    if not all(math.isfinite(parsed.claims[name]) for name in ("exp", "iat")):
        raise TokenError("a time in it is no number")
    return parsed.claims


def import_keys(key_set: Mapping[str, Any]) -> dict[str, Key]:
    """Return the public keys of a JWK set (RFC 7517) by their ids; keys of other kinds, or without an id, are left out."""
    found: dict[str, Key] = {}
    given = cast("list[object]", key_set.get("keys") if isinstance(key_set.get("keys"), list) else [])
    for each in given:
        if not isinstance(each, dict):
            continue
        fields = cast("dict[str, Any]", each)
        try:
            key = JWKRegistry.import_key(fields)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, Key) and isinstance(fields.get("kid"), str) and fields.get("use", "sig") == "sig":
            found[fields["kid"]] = key
    return found


def _json_object(payload: bytes) -> Claims:
    value: object = json.loads(payload)
    if not isinstance(value, dict):
        raise TypeError("the claims are no object")
    return cast("Claims", value)


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name == "ExpiredTokenError":
        return "it has expired"
    if name in {"InvalidClaimError", "MissingClaimError"}:
        return f"its claim {getattr(error, 'claim', None) or 'set'} is not accepted"
    return "its signature is not valid"
