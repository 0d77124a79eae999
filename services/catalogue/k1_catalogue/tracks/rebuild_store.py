"""Computes the derived columns of tracks again, from their versions and their text; and the totals."""

from typing import Final

from k1_catalogue.tracks.search import index_text, sort_key
from k1_catalogue.tracks.store import refresh_track_state
from k1_platform.postgres.pool import Connection, Pool

_BATCH: Final = 200


async def rebuild_tracks(pool: Pool) -> int:
    """Compute search texts, title keys, statuses and figures again while the service runs; return how many tracks.

    Each batch is one transaction, which locks its tracks in the order of their ids. Nothing changes in a track whose
    columns were right.
    """
    count, last = 0, ""
    while True:
        async with pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                "SELECT id, title, artist, tags, updated_at FROM catalogue.tracks"
                " WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE",
                last,
                _BATCH,
            )
            for row in rows:
                await connection.execute(
                    "UPDATE catalogue.tracks SET search = $2::text::tsvector, title_key = $3 WHERE id = $1",
                    row["id"],
                    index_text(row["title"], row["artist"], row["tags"]),
                    sort_key(row["title"]),
                )
                await refresh_track_state(connection, row["id"], row["updated_at"])
        if not rows:
            return count
        count, last = count + len(rows), rows[-1]["id"]


async def rebuild_totals(connection: Connection) -> None:
    """Count the tracks and jobs again; changes of their status wait meanwhile."""
    async with connection.transaction():
        # Transactions that change a status add to the counters at their commit: those before this lock are counted
        # below, and those after it wait.
        await connection.execute("LOCK TABLE catalogue.totals IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute("DELETE FROM catalogue.totals")
        for table in ("tracks", "jobs"):
            await connection.execute(
                f"INSERT INTO catalogue.totals (kind, status, preset, n)"  # noqa: S608  constants of ours
                f" SELECT '{table}', status, coalesce(preset, ''), count(*) FROM catalogue.{table} GROUP BY 2, 3"
            )
