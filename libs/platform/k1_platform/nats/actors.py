"""Carries the actor of a request or an event through a process, and checks the actor's role where a message arrives.

The gateway sets the actor of each HTTP request. `request` and the publishers send it on; responders and consumers set
it again before they call the handler. Without an actor a service acts by itself.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from k1_contracts.actors import Actor, Role, role_includes
from k1_contracts.envelope import ACTOR_HEADER

_MAX_NAME: Final = 100
"""The longest name of a person in an audit trail."""
_current: Final[ContextVar[Actor | None]] = ContextVar("k1_actor", default=None)


class RoleError(Exception):
    """The actor's role does not allow the request."""

    def __init__(self, actor: Actor, required: Role) -> None:
        super().__init__(
            f"This needs the role {required}; {actor.name} is {actor.role}. Ask an administrator."
        )


def current_actor() -> Actor | None:
    """Return who acts at the moment; None when the service acts by itself."""
    return _current.get()


def actor_id() -> str | None:
    """Return the id of who acts at the moment; None when the service acts by itself."""
    actor = _current.get()
    return None if actor is None else actor.id


@contextmanager
def acting_as(actor: Actor | None) -> Generator[None]:
    """Make `actor` the current actor, also in tasks that are created meanwhile."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


def acting_name(stated: str) -> str:
    """Return the name of the current actor; `stated` where nobody signed in, as then it is all that is known."""
    actor = _current.get()
    if actor is None or actor.kind == "local":
        return stated
    return actor.name.strip()[:_MAX_NAME] or actor.id[:_MAX_NAME]


def actor_headers() -> dict[str, str]:
    """Return the headers that carry the current actor."""
    actor = _current.get()
    return {} if actor is None else {ACTOR_HEADER: actor.to_header()}


def actor_of(headers: Mapping[str, str]) -> Actor | None:
    """Return the actor that the headers of a message carry.

    Raises:
        pydantic.ValidationError: the header is there but holds no actor.
    """
    given = headers.get(ACTOR_HEADER)
    return Actor.model_validate_json(given) if given else None


def require_role(actor: Actor | None, required: Role) -> None:
    """Raise RoleError if the actor may not do this. A service that acts by itself may."""
    if actor is not None and not role_includes(actor.role, required):
        raise RoleError(actor, required)
