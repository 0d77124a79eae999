"""Tests of the migrations on a real PostgreSQL server."""

import asyncio
from collections.abc import Iterator
from typing import Literal

import asyncpg
import pytest
from alembic import command

from k1_catalogue.history.store import rows_at
from k1_catalogue.migrate import migrate
from k1_platform.settings import PostgresSettings
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure

TABLES = {
    "tracks",
    "versions",
    "jobs",
    "artefacts",
    "graphs",
    "deployments",
    "track_events",
    "track_changes",
    "undo_tokens",
    "batches",
    "totals",
    "inbox",
    "outbox",
    "migrations",
}


@pytest.fixture
def settings(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A database for one test."""
    with temporary_database(infrastructure.environment["K1_POSTGRES_DSN"], "k1") as settings:
        yield settings


async def tables(settings: PostgresSettings) -> set[str]:
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'catalogue'")
    await connection.close()
    return {row["tablename"] for row in rows}


async def functions(settings: PostgresSettings) -> int:
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    query = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'catalogue'::regnamespace"
    number = await connection.fetchval(query)
    await connection.close()
    return number


async def test_up_down_up(settings: PostgresSettings) -> None:
    """Every migration can be reverted and repeated; reverting leaves nothing behind."""
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES
    await migrate(settings, "down")
    assert (await tables(settings), await functions(settings)) == ({"migrations"}, 0)
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES


async def test_concurrent_migrations(settings: PostgresSettings) -> None:
    """Processes that start together may all migrate: one does it, the others find it done."""
    await asyncio.gather(*(migrate(settings, "up") for _ in range(4)))
    await migrate(settings, "up")
    assert await tables(settings) >= TABLES


async def test_audit_rows_become_events(settings: PostgresSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost, and each track can be rebuilt from then on; reverting gives the audit rows back."""

    async def go(direction: Literal["upgrade", "downgrade"], revision: str) -> None:
        move = getattr(command, direction)
        with monkeypatch.context() as patch:
            patch.setattr(command, direction, lambda config, _: move(config, revision))
            await migrate(settings, "up" if direction == "upgrade" else "down")

    await go("upgrade", "0004")
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    try:
        for statement in OLD_ROWS:
            await connection.execute(statement)
        await go("upgrade", "head")
        rows = await connection.fetch(
            "SELECT action, actor ->> 'name' AS actor, detail FROM catalogue.track_events ORDER BY id"
        )
        assert [tuple(row) for row in rows] == [
            ("uploaded", "service:ingest", "a.mp3"),
            ("cancel requested", "local", None),
            ("recorded", "service:catalogue", None),
        ]
        found = await rows_at(connection, "trk_1")
        assert found.track is not None
        assert (found.track["title"], found.track["revision"]) == ("Älter", 1)
        assert (found.versions["1"]["job_id"], found.jobs["job_1"]["status"]) == ("job_1", "queued")
        await go("downgrade", "0004")
        audit = await connection.fetch("SELECT actor, action FROM catalogue.audit ORDER BY id LIMIT 2")
        assert [tuple(row) for row in audit] == [("ingest", "uploaded"), ("local", "cancel requested")]
        assert await connection.fetchval("SELECT title FROM catalogue.tracks") == "Älter"
    finally:
        await connection.close()


OLD_ROWS = (
    (
        "INSERT INTO catalogue.tracks (id, title, tags, filename, audio, status, search, created_at, updated_at)"
        " VALUES ('trk_1', 'Älter', '{}', 'a.mp3', '{\"key\": \"k\"}', 'processing', '', now(), now())"
    ),
    (
        "INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)"
        " VALUES ('trk_1', 1, 'job_1', 'processing', now())"
    ),
    (
        "INSERT INTO catalogue.jobs (id, track_id, version, status, priority, created_at)"
        " VALUES ('job_1', 'trk_1', 1, 'queued', 5, now())"
    ),
    (
        "INSERT INTO catalogue.audit (track_id, job_id, at, actor, action, detail) VALUES"
        " ('trk_1', 'job_1', now(), 'ingest', 'uploaded', 'a.mp3'),"
        " ('trk_1', 'job_1', now(), 'person', 'cancel requested', NULL)"
    ),
)
