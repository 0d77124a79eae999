"""Reads from the tables which objects are in use: by tracks, versions, deployments and links."""

from datetime import datetime

import asyncpg

from k1_catalogue.storage.references import (
    Reference,
    audio_references,
    deployment_reference,
    referenced_keys,
)
from k1_platform.postgres.pool import Connection


async def read_references(connection: Connection, now: datetime, retention_days: int) -> list[Reference]:
    """Return every use of an object.

    An artefact that was deleted more than `retention_days` before `now` uses its object no longer, nor does a link
    that has ended.
    """
    rows = await connection.fetch(
        """
        SELECT 'audio' AS kind, id AS track_id, audio ->> 'key' AS key, audio ->> 'sha256' AS sha256
        FROM catalogue.tracks
        UNION ALL
        SELECT DISTINCT 'artefact', track_id, key, NULL FROM catalogue.artefacts
        WHERE deleted_at IS NULL OR deleted_at > $1::timestamptz - make_interval(days => $2)
        UNION ALL
        SELECT DISTINCT 'deployment', track_id, NULL, bundle_sha256 FROM catalogue.deployments
        WHERE bundle_sha256 IS NOT NULL
        UNION ALL
        SELECT 'link', track_id, key, NULL FROM catalogue.links WHERE revoked_at IS NULL AND expires_at > $1
        """,
        now,
        retention_days,
    )
    return [each for row in rows for each in _references(row)]


async def keys_only_of_track(connection: Connection, track_id: str) -> frozenset[str]:
    """Return the keys of the objects that this track uses and no other; they can go when the track goes.

    Call it in the transaction that removes the track, with the track locked.
    """
    rows = await connection.fetch(
        """
        WITH own AS (
            SELECT audio ->> 'key' AS key, audio ->> 'sha256' AS sha256 FROM catalogue.tracks WHERE id = $1
        ), own_keys AS (
            SELECT key FROM own
            UNION SELECT key FROM catalogue.artefacts WHERE track_id = $1
            UNION SELECT key FROM catalogue.links WHERE track_id = $1
        ), own_bundles AS (
            SELECT bundle_sha256 AS sha256 FROM catalogue.deployments
            WHERE track_id = $1 AND bundle_sha256 IS NOT NULL
        )
        SELECT 'audio' AS kind, id AS track_id, audio ->> 'key' AS key, audio ->> 'sha256' AS sha256
        FROM catalogue.tracks
        WHERE id = $1 OR audio ->> 'key' IN (SELECT key FROM own)
            OR audio ->> 'sha256' IN (SELECT sha256 FROM own)
        UNION ALL
        SELECT DISTINCT 'artefact', track_id, key, NULL FROM catalogue.artefacts
        WHERE track_id = $1 OR key IN (SELECT key FROM own_keys)
        UNION ALL
        SELECT DISTINCT 'deployment', track_id, NULL, bundle_sha256 FROM catalogue.deployments
        WHERE track_id = $1
            OR 'graphs/' || bundle_sha256 || '/bundle.k1b' IN (SELECT key FROM own_keys)
            OR bundle_sha256 IN (SELECT sha256 FROM own_bundles)
        UNION ALL
        SELECT 'link', track_id, key, NULL FROM catalogue.links
        WHERE track_id = $1 OR (key IN (SELECT key FROM own_keys) AND revoked_at IS NULL)
        """,
        track_id,
    )
    return referenced_keys((each for row in rows for each in _references(row)), only_by=track_id)


def _references(row: asyncpg.Record) -> tuple[Reference, ...]:
    kind, track_id = row["kind"], row["track_id"]
    if kind == "audio":
        return audio_references(track_id, row["key"], row["sha256"])
    if kind == "deployment":
        return (deployment_reference(track_id, row["sha256"]),) if row["sha256"] else ()
    return (Reference(row["key"], track_id, kind),)
