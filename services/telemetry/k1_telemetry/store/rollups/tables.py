"""Adds summaries to the tables of rollups: the database merges the numbers, this module the digests."""

from datetime import datetime
from typing import Final

from k1_platform.postgres.pool import Connection, Pool
from k1_telemetry.database import SCHEMA, TRACK_MINUTES, Rollup
from k1_telemetry.store.columns import METRICS
from k1_telemetry.store.rollups.sketches import merge_sketches
from k1_telemetry.store.rollups.summaries import MAXIMA, MINIMA, SUMS, Summaries

_PREPARE_ROLLUPS: Final = """
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off;
    SELECT pg_advisory_xact_lock(hashtext('telemetry.rollups'))
"""
"""Lets one process at a time update rollups: nearly every batch has the same devices, so they would wait anyway."""
_TYPES: Final = {
    "device_id": "text",
    "track_id": "text",
    "bucket": "timestamptz",
    "count": "int4",
    **dict.fromkeys(SUMS, "float8"),
    **{f"{name}_{bound}": "float4" for name in METRICS for bound in ("min", "max")},
    "heap_free_min": "int8",
    "heap_free_max": "int8",
    "rssi_min": "int2",
    "rssi_max": "int2",
    "drift_p95": "float4",
    "drift_sketch": "bytea",
}
_MERGED: Final = {
    **{name: f"stored.{name} + excluded.{name}" for name in ("count", *SUMS)},
    **{name: f"least(stored.{name}, excluded.{name})" for name in MINIMA},
    **{name: f"greatest(stored.{name}, excluded.{name})" for name in MAXIMA},
    "drift_p95": "excluded.drift_p95",
    "drift_sketch": "excluded.drift_sketch",
}
"""What a row becomes when a summary of the same bucket is added; its digest has been merged before."""


async def prepare_rollups(connection: Connection) -> None:
    """Wait until no other transaction updates rollups; call it in the transaction, before `update_rollup`."""
    await connection.execute(_PREPARE_ROLLUPS)


async def update_rollup(connection: Connection, rollup: Rollup, summaries: Summaries) -> None:
    """Add summaries to the rows of a rollup."""
    keys = summaries.devices, summaries.buckets, summaries.tracks
    for number, stored in await connection.fetch(_select(rollup), *keys):
        merge_sketches(summaries.drift[number - 1], stored)
    columns = summaries.columns()
    await connection.execute(_upsert(rollup), *(columns[name] for name in _TYPES))


async def forget_track_minutes(pool: Pool, before: datetime) -> None:
    """Delete the minutes of tracks before a time, that at which the oldest partition of their rollup begins."""
    await pool.execute(f"DELETE FROM {SCHEMA}.{TRACK_MINUTES} WHERE bucket < $1", before)  # noqa: S608


def _select(rollup: Rollup) -> str:
    return f"""
        SELECT number, drift_sketch
        FROM unnest($1::text[], $2::timestamptz[], $3::text[]) WITH ORDINALITY AS key (device, at, track, number)
        JOIN {SCHEMA}.{rollup.name} ON device_id = device AND bucket = at AND track_id = track
    """  # noqa: S608


def _upsert(rollup: Rollup) -> str:
    arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES.values(), 1))
    return f"""
        INSERT INTO {SCHEMA}.{rollup.name} AS stored ({", ".join(_TYPES)}) SELECT * FROM unnest({arrays})
        ON CONFLICT (device_id, bucket, track_id) DO UPDATE
        SET {", ".join(f"{name} = {merged}" for name, merged in _MERGED.items())}
    """  # noqa: S608
