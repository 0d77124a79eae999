"""Writes summaries into the tables of rollups, merged with what is stored."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from k1_platform.postgres.pool import Connection
from k1_telemetry.database import SCHEMA, Rollup
from k1_telemetry.store.columns import METRICS
from k1_telemetry.store.rollups import Key, Summary

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
    "drift_p95": "float4",
    "drift_sketch": "bytea",
    **{f"{name}_sum": "float8" for name in METRICS},
    **{f"{name}_{bound}": "float4" for name in METRICS for bound in ("min", "max")},
    "heap_free_min": "int8",
    "heap_free_max": "int8",
    "rssi_min": "int2",
    "rssi_max": "int2",
}


async def prepare_rollups(connection: Connection) -> None:
    """Wait until no other transaction updates rollups; call it in the transaction, before `update_rollup`."""
    await connection.execute(_PREPARE_ROLLUPS)


async def update_rollup(connection: Connection, rollup: Rollup, summaries: Sequence[Summary]) -> None:
    """Add summaries to the rows of a rollup."""
    keys = ([summary.key[number] for summary in summaries] for number in range(3))
    by_key: dict[Key, Mapping[str, Any]] = {
        (row["device_id"], row["bucket"], row["track_id"]): row
        for row in await connection.fetch(_select(rollup), *keys)
    }
    for summary in summaries:
        stored = by_key.get(summary.key)
        if stored is not None:
            summary.merge(stored)
    rows = [summary.row() for summary in summaries]
    await connection.execute(_upsert(rollup), *([row[name] for row in rows] for name in _TYPES))


def _select(rollup: Rollup) -> str:
    return (
        f"SELECT stored.* FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS key (device, at, track)"  # noqa: S608
        f" JOIN {SCHEMA}.{rollup.name} stored ON device_id = device AND bucket = at AND track_id = track"
    )


def _upsert(rollup: Rollup) -> str:
    names = ", ".join(_TYPES)
    arrays = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES.values(), 1))
    changes = ", ".join(
        f"{name} = excluded.{name}" for name in _TYPES if name not in {"device_id", "track_id", "bucket"}
    )
    return (
        f"INSERT INTO {SCHEMA}.{rollup.name} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608
        f" ON CONFLICT (device_id, bucket, track_id) DO UPDATE SET {changes}"
    )
