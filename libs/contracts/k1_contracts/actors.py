"""Says who acts: the person, the API key, the machine or the service behind a request or an event."""

import json
from typing import Final, Literal

from pydantic import Field

from k1_contracts.base import Contract

Role = Literal["viewer", "editor", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "editor", "operator", "admin")
"""Lowest first; each role may do everything that the roles before it may."""
ActorKind = Literal["user", "key", "machine", "service", "local"]
"""`key`: an API key of a user. `machine`: a client of a trusted OpenID Connect issuer. `local`: anyone on this machine,
where sign-in is off."""


class Actor(Contract):
    """Who sent a request or caused an event. It stands in the envelope, and in every audit row."""

    kind: ActorKind
    id: str = Field(max_length=200)
    """The id of the user (also of a key's owner), the subject of a machine's token, or the name of a service."""
    name: str = Field(max_length=200)
    """What people read: a name, or an e-mail address."""
    role: Role
    address: str | None = Field(default=None, max_length=60)
    """The network address that the request came from."""

    def to_header(self) -> str:
        """Return the value of a NATS header: JSON in ASCII."""
        return json.dumps(self.model_dump(exclude_none=True), ensure_ascii=True, separators=(",", ":"))


def service_actor(service: str) -> Actor:
    """Return a service as the actor of what it does by itself."""
    return Actor(kind="service", id=service, name=f"service:{service}", role="admin")


def role_includes(role: Role, required: Role) -> bool:
    """Return whether someone with `role` may do what needs `required`."""
    return ROLES.index(role) >= ROLES.index(required)
