"""Checks that queries make first: the version exists and has a map, the track is not deleted."""

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


async def require_not_deleted(connection: Connection, track_id: str) -> None:
    """Lock a track; raise `track_not_found`, or `track_deleted` if it must be restored first."""
    found = await store.lock_track(connection, track_id)
    if found is None:
        raise errors.track_not_found(track_id)
    if found.is_deleted:
        raise errors.track_deleted(track_id)


def require_map(fields: Mapping[str, Any], track_id: str) -> None:
    """Raise `genesis_pending` or `genesis_missing` unless the analysis of this version has completed."""
    if fields["map_sha256"] is None:
        pending = fields["status"] == "processing"
        raise (errors.genesis_pending if pending else errors.genesis_missing)(track_id, fields["version"])
