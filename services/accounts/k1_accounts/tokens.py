"""Makes opaque tokens, and the hashes under which they are stored. Pure apart from the system's randomness.

A token has 256 random bits, so nobody finds it from its SHA-256; a slow hash, as for passwords, would protect nothing.
"""

import secrets
from hashlib import sha256
from typing import Final

_BYTES: Final = 32
KEY_PREFIX: Final = "k1_"
"""Of API keys: secret scanners find keys in files by it."""
REFRESH_PREFIX: Final = "k1r_"
"""Of refresh tokens, so that one is not taken for the other."""


def new_secret(prefix: str = "") -> str:
    """Return a new token, URL-safe."""
    return prefix + secrets.token_urlsafe(_BYTES)


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a token."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
