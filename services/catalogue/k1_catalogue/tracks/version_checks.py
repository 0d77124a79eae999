"""Checks that queries make before they use a version: it exists, and it has a map."""

from collections.abc import Mapping
from typing import Any

from k1_catalogue import errors
from k1_catalogue.tracks import store
from k1_platform.postgres.pool import Connection


async def require_version(connection: Connection, track_id: str, version: int) -> dict[str, Any]:
    """Return the fields of a version; raise `track_not_found` or `version_not_found`."""
    fields = await store.find_version(connection, track_id, version)
    if fields is not None:
        return fields
    if await store.find_track(connection, track_id) is None:
        raise errors.track_not_found(track_id)
    raise errors.version_not_found(track_id, version)


def require_map(fields: Mapping[str, Any], track_id: str) -> None:
    """Raise `genesis_pending` or `genesis_missing` unless the analysis of this version has completed."""
    if fields["map_sha256"] is None:
        pending = fields["status"] == "processing"
        raise (errors.genesis_pending if pending else errors.genesis_missing)(track_id, fields["version"])
