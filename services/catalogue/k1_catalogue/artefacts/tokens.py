"""Makes secret tokens of links and of undo, of which the tables hold only a hash."""

import secrets
from hashlib import sha256

_BYTES = 32


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits in base64url."""
    return secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> str:
    """Return what the tables hold of a token. It needs no salt, because a token is random."""
    return sha256(token.encode()).hexdigest()
