"""What a provider says about a person, and the secrets of one sign-in. Pure."""

import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Self


class ProviderError(Exception):
    """The provider does not answer, or not as the standard says."""


class RefusedError(Exception):
    """The sign-in is not valid; the message is a clause for the person."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as a provider knows it."""

    subject: str
    """The provider's id of the person, which never changes."""
    email: str | None
    email_verified: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class FlowSecrets:
    """The secrets of one sign-in, all derived from the token in the browser's cookie.

    So the database holds none of them, and only the browser that began the sign-in can end it.
    """

    state: str
    nonce: str
    code_verifier: str

    @classmethod
    def derive(cls, browser_token: str) -> Self:
        """Return the secrets of the sign-in that the browser with this token began."""
        return cls(*(_derive(purpose, browser_token) for purpose in ("state", "nonce", "verifier")))


def _derive(purpose: str, token: str) -> str:
    digest = sha256(f"k1 {purpose}:{token}".encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
