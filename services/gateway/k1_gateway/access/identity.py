"""Says who sends a request, and until when that holds."""

from dataclasses import dataclass

from k1_contracts.actors import Actor


@dataclass(frozen=True, slots=True)
class Identity:
    """The verified sender of a request."""

    actor: Actor
    expires_at_s: float | None = None
    """When its token expires, in seconds since the epoch; None for what does not expire by itself."""
    issued_at_s: float = 0.0
    session_id: str | None = None
    key_id: str | None = None
    by_cookie: bool = False


def local_identity(address: str | None) -> Identity:
    """Return the identity of everyone on this machine while sign-in is off."""
    return Identity(Actor(kind="local", id="local", name="local", role="admin", address=address))
