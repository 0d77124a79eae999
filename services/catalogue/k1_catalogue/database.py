"""The schema `catalogue`: its name, its inbox, and text that PostgreSQL can store."""

from typing import Final

from k1_contracts.durables import CATALOGUE
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.pool import Connection

SCHEMA: Final = "catalogue"


async def is_first_delivery(connection: Connection, event_id: str) -> bool:
    """Record an event in the inbox and return True, or return False if it is recorded already.

    Call it in the transaction of the event's effect, so that a repeated delivery has no second effect.
    """
    return await mark_handled(connection, SCHEMA, CATALOGUE.name, event_id)


def without_nul(text: str) -> str:
    """Return `text` without NUL, the one character that PostgreSQL cannot store."""
    return text.replace("\0", "")
