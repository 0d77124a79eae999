"""Names the schema `webhooks`, and writes its audit."""

from typing import Final

from k1_contracts.actors import service_actor
from k1_platform.nats.actors import current_actor
from k1_platform.postgres.pool import Connection

SCHEMA: Final = "webhooks"
_SERVICE: Final = service_actor(SCHEMA)


async def write_audit_entry(
    connection: Connection, webhook_id: str, action: str, detail: str | None = None
) -> None:
    """Record who did what to a webhook; without an actor it was the service itself."""
    actor = current_actor() or _SERVICE
    await connection.execute(
        "INSERT INTO webhooks.audit (at, actor, action, webhook_id, detail) VALUES (now(), $1, $2, $3, $4)",
        actor.model_dump_json(exclude_none=True),
        action,
        webhook_id,
        detail,
    )
