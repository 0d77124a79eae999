"""Bodies of `POST /deployments` for tests."""

from collections.abc import Sequence
from typing import Any


def immediate_order(track_id: str, device_ids: Sequence[str]) -> dict[str, Any]:
    """Return the order to deploy version 1 of a track to all devices at once, observed for a second."""
    return {
        "track_id": track_id,
        "version": 1,
        "device_ids": list(device_ids),
        "strategy": {"observe_seconds": 1},
        "activation": {"when": "now"},
    }
