"""The table `totals`: counters of tracks and jobs by status and preset, which triggers maintain."""

from typing import Literal

from k1_platform.postgres.pool import Connection


async def count_rows(
    connection: Connection, kind: Literal["tracks", "jobs"], status: str | None, preset: str | None = None
) -> int:
    """Return how many tracks or jobs there are; None means every status but `deleted`, or every preset."""
    total: int | None = await connection.fetchval(
        """
        SELECT sum(n)::bigint FROM catalogue.totals
        WHERE kind = $1 AND CASE WHEN $2::text IS NULL THEN status <> 'deleted' ELSE status = $2 END
            AND ($3::text IS NULL OR preset = $3)
        """,
        kind,
        status,
        preset,
    )
    return total or 0


async def count_by_status(connection: Connection, kind: Literal["tracks", "jobs"]) -> dict[str, int]:
    """Return how many tracks or jobs there are of each status."""
    rows = await connection.fetch(
        "SELECT status, sum(n)::bigint AS n FROM catalogue.totals WHERE kind = $1 GROUP BY status", kind
    )
    return {row["status"]: row["n"] for row in rows}
