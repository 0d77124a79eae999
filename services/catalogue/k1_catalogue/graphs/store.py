"""The table `graphs`: every revision of the graph of each version."""

from typing import Final

from k1_catalogue.graphs.revisions import Baseline, GraphRevision
from k1_platform.postgres.pool import Connection

_COLUMNS: Final = "revision, source, document, etag, created_at"


async def current_graph(connection: Connection, track_id: str, version: int) -> GraphRevision | None:
    """Return the latest graph of a version; None if it has none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.graphs"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version = $2 ORDER BY revision DESC LIMIT 1",
        track_id,
        version,
    )
    return GraphRevision(**row) if row else None


async def first_graph(connection: Connection, track_id: str, version: int) -> GraphRevision | None:
    """Return the first graph of a version; None if it has none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.graphs"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version = $2 AND revision = 1",
        track_id,
        version,
    )
    return GraphRevision(**row) if row else None


async def recommended_graph(connection: Connection, track_id: str, version: int) -> GraphRevision | None:
    """Return the graph that was recommended for a version or, where it took its graph over, for an earlier one."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM catalogue.graphs"  # noqa: S608  a constant of ours
        " WHERE track_id = $1 AND version <= $2 AND source = 'recommended'"
        " ORDER BY version DESC, revision DESC LIMIT 1",
        track_id,
        version,
    )
    return GraphRevision(**row) if row else None


async def find_baseline(connection: Connection, track_id: str, version: int) -> Baseline | None:
    """Return the latest graph of the last earlier version, or else the first graph of this version."""
    row = await connection.fetchrow(
        """
        SELECT version, document FROM catalogue.graphs WHERE track_id = $1 AND version < $2
        ORDER BY version DESC, revision DESC LIMIT 1
        """,
        track_id,
        version,
    )
    if row:
        return Baseline(row["document"], f"version {row['version']}")
    document = await connection.fetchval(
        "SELECT document FROM catalogue.graphs WHERE track_id = $1 AND version = $2 AND revision = 1",
        track_id,
        version,
    )
    return Baseline(document, "the first graph of this version") if document else None


async def insert_revision(connection: Connection, track_id: str, version: int, graph: GraphRevision) -> None:
    """Add a revision of a version's graph."""
    await connection.execute(
        """
        INSERT INTO catalogue.graphs (track_id, version, revision, source, document, etag, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        track_id,
        version,
        graph.revision,
        graph.source,
        graph.document,
        graph.etag,
        graph.created_at,
    )
