"""What the gateway itself says on the live feed: that something is lost, was dropped, or that the connection ends."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from k1_contracts.base import rfc3339
from k1_gateway.feed.client_queue import Gap

Notice = dict[str, Any]


def gap_notice(gap: Gap) -> Notice:
    """Return the notice that events or samples are lost."""
    data = {"missed": gap.missed, "after": str(gap.after)}
    return {"id": str(gap.resumed_at), **_notice("gap", data)}


def dropped_notice(count: int) -> Notice:
    """Return the notice that so many samples were dropped."""
    return _notice("dropped", {"count": count})


def closing_notice(reason: str) -> Notice:
    """Return the notice that the connection ends."""
    return _notice("closing", {"reason": reason})


def encode(notice: Notice) -> bytes:
    """Return a notice as JSON."""
    return msgspec.json.encode(notice)


def _notice(name: str, data: dict[str, Any]) -> Notice:
    return {"type": name, "at": rfc3339(datetime.now(UTC)), "data": data}
