"""Access tokens as accounts signs them, and as an attacker would make them."""

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.authentication import Jwk, JwkSet

ISSUER, AUDIENCE = "k1-accounts", "k1"
KEY = OKPKey.generate_key("Ed25519")
FOREIGN_KEY = OKPKey.generate_key("Ed25519")
KEY_ID = "key-of-the-tests"
JWKS = JwkSet(
    keys=[Jwk(x=str(KEY.as_dict(private=False)["x"]), kid=KEY_ID)], issuer=ISSUER, audience=AUDIENCE
)
USER = "usr_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"


def access_token(
    role: str = "viewer",
    *,
    key: OKPKey | OctKey = KEY,
    header: dict[str, Any] | None = None,
    without: str = "",
    **claims: Any,
) -> str:
    """Return a token like that of accounts, except for what is given."""
    now = time.time()
    named = {"alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID, **(header or {})}
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": USER,
        "sid": new_id("ses"),
        "jti": "1",
        "role": role,
        "name": "Ann",
        "email": "ann@example.org",
        "iat": now,
        "exp": now + 900,
        **claims,
    }
    whole.pop(without, None)
    return jwt.encode(named, whole, key, algorithms=[named["alg"]])


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token or key."""
    return {"Authorization": f"Bearer {token}"}
