"""The table `version_features`: writes vectors, and reads the nearest ones.

Only the version in use of a track that can be played is compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import numpy as np

from k1_catalogue.similarity.features import DIMENSIONS, VERSION, Vector
from k1_platform.postgres.pool import Connection

STORED_LENGTH: Final = 48
_EF_SEARCH: Final = 200
"""Candidates that the index keeps; more finds more of the true neighbours and takes longer."""
_PLAYABLE: Final = """
    FROM catalogue.version_features AS f
    JOIN catalogue.tracks AS t ON t.id = f.track_id AND t.current_version = f.version
    WHERE f.features_version = $1 AND t.status IN ('ready', 'warning')
"""
_TRACK: Final = (
    "t.id, t.title, t.artist, t.duration_ms, t.bpm, t.f_measure, t.status, t.preset, t.tags, t.current_version,"
    " t.created_at, t.updated_at, f.features"
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A track that was found, with its vector."""

    track: dict[str, Any]
    vector: Vector


@dataclass(frozen=True, slots=True)
class VectorRow:
    """A vector as the index in memory takes it."""

    seq: int
    track_id: str
    version: int
    vector: Vector


async def save_features(connection: Connection, track_id: str, version: int, vector: Vector) -> None:
    """Store the vector of a version in place of an earlier one; a version that is gone is left out."""
    await connection.execute(
        """
        INSERT INTO catalogue.version_features (track_id, version, features_version, features)
        SELECT track_id, version, $3, $4 FROM catalogue.versions WHERE track_id = $1 AND version = $2 FOR KEY SHARE
        ON CONFLICT (track_id, version) DO UPDATE
        SET features_version = excluded.features_version, features = excluded.features, seq = DEFAULT
        """,
        track_id,
        version,
        VERSION,
        _padded(vector),
    )


async def find_features(connection: Connection, track_id: str, version: int) -> Vector | None:
    """Return the vector of a version; None if there is none of this version of the features."""
    found = await connection.fetchval(
        "SELECT features FROM catalogue.version_features"
        " WHERE track_id = $1 AND version = $2 AND features_version = $3",
        track_id,
        version,
        VERSION,
    )
    return None if found is None else _vector(found)


async def has_vector_index(connection: Connection) -> bool:
    """Return whether the table has the column with the index of pgvector."""
    row = await connection.fetchrow(
        "SELECT FROM pg_indexes WHERE schemaname = 'catalogue' AND indexname = 'version_features_embedding'"
    )
    return row is not None


async def count_features(connection: Connection) -> int:
    """Return about how many tracks can be compared: exact for small tables, else the server's estimate."""
    estimate = await connection.fetch(
        "SELECT reltuples::bigint AS n FROM pg_class WHERE oid = 'catalogue.version_features'::regclass"
    )
    if estimate[0]["n"] > _COUNTED_EXACTLY:
        return estimate[0]["n"]
    exact = await connection.fetch(f"SELECT count(*) AS n {_PLAYABLE}", VERSION)
    return exact[0]["n"]


_COUNTED_EXACTLY: Final = 10_000


async def nearest_by_index(
    connection: Connection, vector: Vector, track_id: str, limit: int
) -> list[Neighbour]:
    """Return the nearest tracks by the index of pgvector, which may miss some; nearest first.

    The index continues until enough rows pass the filter.
    """
    async with connection.transaction():
        await connection.execute(f"SET LOCAL hnsw.ef_search = {_EF_SEARCH}")
        await connection.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        rows = await connection.fetch(
            f"SELECT {_TRACK} {_PLAYABLE} AND f.track_id <> $2"
            " ORDER BY f.embedding <-> $3::real[]::vector LIMIT $4",
            VERSION,
            track_id,
            _padded(vector),
            limit,
        )
    return [_neighbour(row) for row in rows]


async def read_playable(
    connection: Connection, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Neighbour]:
    """Return those of these versions that are in use and can be played."""
    rows = await connection.fetch(
        f"SELECT {_TRACK} {_PLAYABLE} AND (f.track_id, f.version) IN"  # noqa: S608  constants of ours
        " (SELECT * FROM unnest($2::text[], $3::integer[]))",
        VERSION,
        [track_id for track_id, _ in keys],
        [version for _, version in keys],
    )
    return {(row["id"], row["current_version"]): _neighbour(row) for row in rows}


async def vectors_after(connection: Connection, seq: int, limit: int) -> list[VectorRow]:
    """Return the vectors that were written after the one with this number, oldest first."""
    rows = await connection.fetch(
        "SELECT seq, track_id, version, features FROM catalogue.version_features"
        " WHERE seq > $1 AND features_version = $2 ORDER BY seq LIMIT $3",
        seq,
        VERSION,
        limit,
    )
    return [VectorRow(row["seq"], row["track_id"], row["version"], _vector(row["features"])) for row in rows]


async def versions_without_features(connection: Connection, after: str, limit: int) -> list[tuple[str, int]]:
    """Return versions in use that have a map but no vector of this version of the features, by track id."""
    rows = await connection.fetch(
        """
        SELECT v.track_id, v.version FROM catalogue.tracks AS t
        JOIN catalogue.versions AS v ON v.track_id = t.id AND v.version = t.current_version
        LEFT JOIN catalogue.version_features AS f
            ON f.track_id = v.track_id AND f.version = v.version AND f.features_version = $1
        WHERE t.id > $2 AND v.map_sha256 IS NOT NULL AND f.track_id IS NULL
        ORDER BY t.id LIMIT $3
        """,
        VERSION,
        after,
        limit,
    )
    return [(row["track_id"], row["version"]) for row in rows]


def _padded(vector: Vector) -> list[float]:
    return [*vector.tolist(), *([0.0] * (STORED_LENGTH - DIMENSIONS))]


def _vector(stored: list[float]) -> Vector:
    return np.array(stored[:DIMENSIONS], dtype=np.float32)


def _neighbour(row: asyncpg.Record) -> Neighbour:
    fields = dict(row)
    return Neighbour(track=fields, vector=_vector(fields.pop("features")))
