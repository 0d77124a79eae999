"""Reads and writes the tables of tracks, versions and jobs directly, for tests."""

from k1_contracts.ids import new_id
from k1_platform.postgres.pool import Pool
from services.catalogue.tests.song_samples import Song


async def read_status(pool: Pool, song: Song) -> tuple[str, int | None, str, str]:
    """Return the status of the track, its current version, and the status of the song's version and job."""
    row = await pool.fetchrow(
        """
        SELECT t.status AS track, t.current_version, v.status AS version, j.status AS job
        FROM catalogue.tracks t
        JOIN catalogue.versions v ON v.track_id = t.id
        JOIN catalogue.jobs j ON j.id = v.job_id
        WHERE j.id = $1
        """,
        song.job_id,
    )
    assert row is not None
    return tuple(row)


async def read_totals(pool: Pool, kind: str) -> dict[str, int]:
    """Return the counters of tracks or jobs by status."""
    rows = await pool.fetch(
        "SELECT status, sum(n)::int AS n FROM catalogue.totals WHERE kind = $1 GROUP BY status", kind
    )
    return {row["status"]: row["n"] for row in rows if row["n"]}


async def insert_reanalysis(pool: Pool, song: Song) -> Song:
    """Add a second version of the song and its job, as a request for a new analysis does."""
    again = song.reanalysis(new_id("job"), 2)
    await pool.execute(
        "INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)"
        " VALUES ($1, 2, $2, 'processing', now())",
        song.track_id,
        again.job_id,
    )
    await pool.execute(
        "INSERT INTO catalogue.jobs (id, track_id, version, status, priority, created_at)"
        " VALUES ($1, $2, 2, 'queued', 5, now())",
        again.job_id,
        song.track_id,
    )
    return again
