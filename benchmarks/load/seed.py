"""Fills the catalogue of a running stack with copies of one analysed song, and makes users with API keys.

Every copy has the rows of the song (version, summary, artefacts, job, events), with another title, artist, tags, preset
and figures. It has no map in the document store, so only the song itself answers requests for maps.
"""

import random
from datetime import UTC, datetime
from typing import Final

import asyncpg

from k1_accounts.keys.store import insert_key
from k1_accounts.tokens import KEY_PREFIX, hash_secret, new_secret
from k1_accounts.users.store import insert_user
from k1_catalogue.tracks.rebuild_store import rebuild_totals
from k1_catalogue.tracks.search import index_text, sort_key

_WORDS: Final = (
    "night", "drive", "city", "rain", "blue", "fire", "love", "dance", "star", "moon", "road", "train", "light",
    "dream", "storm", "river", "gold", "silver", "heart",
)  # fmt: skip
_PRESETS: Final = ("edm", "rock", "orchestral", "jazz", "hiphop")
_TABLES: Final = ("tracks", "versions", "jobs", "artefacts", "track_events")
_TIMEOUT_S: Final = 600
_ROWS: Final = """
CREATE TEMP TABLE copies (n int, track text, job text, title text, artist text, tags text[], preset text,
    status text, f_measure float8, bpm float8, duration_ms float8, lexemes text, title_key text)
"""
_COPY: Final = (
    """
    INSERT INTO catalogue.tracks (id, title, artist, tags, preset, filename, audio, status, current_version,
        duration_ms, bpm, f_measure, search, title_key, created_at, updated_at)
    SELECT c.track, c.title, c.artist, c.tags, c.preset, t.filename, t.audio, c.status, 1, c.duration_ms, c.bpm,
        c.f_measure, c.lexemes::tsvector, c.title_key, t.created_at - c.n * interval '1 s', t.updated_at
    FROM copies AS c, catalogue.tracks AS t WHERE t.id = $1
    """,
    """
    INSERT INTO catalogue.versions (track_id, version, job_id, status, engine, summary, warnings, map_sha256,
        created_at)
    SELECT c.track, 1, c.job, v.status, v.engine, v.summary || jsonb_build_object(
        'pcm_sha256', lpad(to_hex(c.n), 64, '0')), v.warnings, v.map_sha256, v.created_at
    FROM copies AS c, catalogue.versions AS v WHERE v.track_id = $1 AND v.version = 1
    """,
    """
    INSERT INTO catalogue.jobs (id, track_id, version, status, priority, preset, audio_ms, attempt, worker_id, engine,
        elapsed_ms, reused, created_at, started_at, ended_at, cpu_s, bytes_stored)
    SELECT c.job, c.track, 1, j.status, j.priority, c.preset, j.audio_ms, j.attempt, j.worker_id, j.engine,
        j.elapsed_ms, j.reused, j.created_at - c.n * interval '1 s', j.started_at, j.ended_at - c.n * interval '1 s',
        j.cpu_s, j.bytes_stored
    FROM copies AS c, catalogue.jobs AS j WHERE j.track_id = $1 AND j.version = 1
    """,
    """
    INSERT INTO catalogue.artefacts (track_id, version, id, type, name, key, size_bytes, sha256, content_type,
        inline_json, created_at)
    SELECT c.track, 1, 'art_' || left(upper(md5(a.id || c.n)), 26), a.type, a.name, a.key, a.size_bytes, a.sha256,
        a.content_type, a.inline_json, a.created_at
    FROM copies AS c, catalogue.artefacts AS a WHERE a.track_id = $1 AND a.version = 1
    """,
    """
    INSERT INTO catalogue.track_events (track_id, at, recorded_at, actor, action, before, after, job_id, detail)
    SELECT c.track, e.at, e.recorded_at, e.actor, e.action, e.before, e.after,
        CASE WHEN e.job_id IS NULL THEN NULL ELSE c.job END, e.detail
    FROM copies AS c, catalogue.track_events AS e WHERE e.track_id = $1
    """,
)


async def seed_tracks(connection: asyncpg.Connection, song: str, count: int) -> None:
    """Add copies of the track `song` until the catalogue has `count` tracks."""
    first: int = await connection.fetchval("SELECT count(*) FROM catalogue.tracks") or 0
    if first >= count:
        return
    await connection.execute(_ROWS)
    rows = [_copy(number) for number in range(first, count)]
    await connection.copy_records_to_table("copies", records=rows, timeout=_TIMEOUT_S)
    async with connection.transaction():
        # The triggers would count every row by itself, and write its history.
        for table in _TABLES:
            await connection.execute(f"ALTER TABLE catalogue.{table} DISABLE TRIGGER USER")
        for statement in _COPY:
            await connection.execute(statement, song, timeout=_TIMEOUT_S)
        for table in _TABLES:
            await connection.execute(f"ALTER TABLE catalogue.{table} ENABLE TRIGGER USER")
    await rebuild_totals(connection)
    for table in _TABLES:
        await connection.execute(f"VACUUM ANALYZE catalogue.{table}", timeout=_TIMEOUT_S)
    await connection.execute("CHECKPOINT", timeout=_TIMEOUT_S)


async def make_keys(connection: asyncpg.Connection, count: int) -> list[str]:
    """Add users who may upload, each with one API key; return the keys."""
    keys: list[str] = []
    for _ in range(count):
        secret, now = new_secret(KEY_PREFIX), datetime.now(UTC)
        address = f"load-{secret[-12:]}@example.org"
        user = await insert_user(
            connection, email=address, name="Load", role="editor", locale="en", verified=True, at=now
        )
        assert user is not None
        await insert_key(
            connection, user, name="load", role="editor", hashed=hash_secret(secret), hint=secret[:8], at=now,
            expires_at=None,
        )  # fmt: skip
        keys.append(secret)
    return keys


async def sample_ids(connection: asyncpg.Connection, count: int) -> tuple[list[str], list[str]]:
    """Return the ids of tracks all over the catalogue, and of their newest jobs."""
    rows = await connection.fetch(
        "SELECT track_id, id FROM catalogue.jobs WHERE version = 1 ORDER BY md5(id) LIMIT $1", count
    )
    return [row["track_id"] for row in rows], [row["id"] for row in rows]


def _copy(number: int) -> tuple[object, ...]:
    rng = random.Random(number)
    title = " ".join(rng.choices(_WORDS, k=3)) + f" {number % 5000}"
    artist = f"{rng.choice(_WORDS)} and the {rng.choice(_WORDS)}s"
    tags = [f"t{number % 4}", *(["rare"] if number % 100 == 1 else [])]
    score = rng.random()
    status = "ready" if number % 5 else "warning"
    return (
        number, f"trk_{number:026}", f"job_{number:026}", title, artist, tags, _PRESETS[number % len(_PRESETS)],
        status, score, 60 + 120 * score, 120_000 + 180_000 * score, index_text(title, artist, tags), sort_key(title),
    )  # fmt: skip
