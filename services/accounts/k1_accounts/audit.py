"""Writes the audit: who did what to which account, when and from where. Rows are only added."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from k1_contracts.actors import Actor, service_actor
from k1_contracts.messages.accounts.users import ClientInfo, UserView
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection

_SERVICE: Final = service_actor("accounts")


def actor_for(user: UserView, client: ClientInfo) -> Actor:
    """Return a user as the actor of something done before there is an access token, such as signing in."""
    return Actor(kind="user", id=user.id, name=user.name, role=user.role, address=client.address)


def unknown_actor(client: ClientInfo) -> Actor:
    """Return the actor of a request by someone who is not signed in."""
    return Actor(kind="machine", id="anonymous", name="not signed in", role="viewer", address=client.address)


async def write_audit(
    connection: Connection,
    action: str,
    user_id: str | None,
    *,
    at: datetime,
    actor: Actor | None = None,
    **detail: Any,
) -> None:
    """Add a row about an account, without any secret.

    The actor is that of the message unless one is given; without either the service acts by itself.
    """
    by = actor or current_actor() or _SERVICE
    await connection.execute(
        "INSERT INTO accounts.audit (at, actor_kind, actor_id, actor_name, address, action, user_id, detail)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        at,
        by.kind,
        by.id,
        by.name,
        by.address,
        action,
        user_id,
        json.dumps(detail),
    )


def changes(before: UserView, after: UserView) -> Mapping[str, Any]:
    """Return the fields that differ, as `before` and `after`."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    differing = [name for name in old if old[name] != new[name] and name != "updated_at"]
    return {
        "before": {name: old[name] for name in differing},
        "after": {name: new[name] for name in differing},
    }
