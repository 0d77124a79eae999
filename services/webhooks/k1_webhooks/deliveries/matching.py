"""Decides which webhooks get an event, and writes the body that they get. Pure."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from k1_contracts.base import rfc3339


def matches(event_type: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns means this type: itself, `prefix.*`, or `*`."""
    return any(
        pattern in {"*", event_type} or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )


def delivery_body(event_type: str, at: datetime, data: dict[str, Any]) -> str:
    """Return the JSON of a delivery, in the form of Standard Webhooks: type, timestamp and data."""
    document = {"type": event_type, "timestamp": rfc3339(at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
