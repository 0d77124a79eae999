"""Signs access tokens: JWTs with EdDSA, which the gateway verifies by the public keys (RFC 9068, RFC 8037).

The newest key of the folder signs; all keys of the folder are published, so tokens that an earlier key signed stay valid
until they expire. Add a key with `python -m k1_platform.auth.signing --rotate`, and start the service again.
"""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from ulid import ULID

from k1_contracts.messages.accounts.authentication import Jwk, JwkSet
from k1_contracts.messages.accounts.users import UserView
from k1_platform.auth.signing import KeyRing

AUDIENCE: Final = "k1"
LIFETIME: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class AccessTokenIssuer:
    """Issues access tokens and publishes the keys that verify them."""

    keys: KeyRing
    issuer: str
    _jwks: JwkSet = field(init=False)

    def __post_init__(self) -> None:
        published = [_jwk(key) for key in self.keys.public]
        object.__setattr__(self, "_jwks", JwkSet(keys=published, issuer=self.issuer, audience=AUDIENCE))

    @property
    def jwks(self) -> JwkSet:
        """The public keys."""
        return self._jwks

    def issue(self, user: UserView, session_id: str, at: datetime) -> tuple[str, datetime]:
        """Return a token of a user in a session, and when it expires."""
        expires_at = at + LIFETIME
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": user.id,
            "sid": session_id,
            "jti": str(ULID()),
            "role": user.role,
            "name": user.name,
            "email": user.email,
            # With milliseconds: a revocation is compared with it.
            "iat": round(at.timestamp(), 3),
            "exp": round(expires_at.timestamp(), 3),
        }
        headers = {"kid": self._jwks.keys[0].kid, "typ": "at+jwt"}
        return jwt.encode(claims, self.keys.signing, algorithm="EdDSA", headers=headers), expires_at


def _jwk(key: Ed25519PublicKey) -> Jwk:
    x = _base64url(key.public_bytes_raw())
    # The id is the thumbprint of RFC 7638.
    thumbprint = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    return Jwk(x=x, kid=_base64url(sha256(thumbprint.encode()).digest()))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
