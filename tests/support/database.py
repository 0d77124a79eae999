"""Databases for the tests of one service."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import asyncpg
from pydantic import SecretStr

from k1_platform.postgres.pool import Pool
from k1_platform.settings import PostgresSettings


@contextmanager
def temporary_database(
    dsn: str, prefix: str, migrate: Callable[[PostgresSettings], Awaitable[None]] | None = None
) -> Iterator[PostgresSettings]:
    """Create a database beside that of `dsn`, migrate it if `migrate` is given, and drop it at the end.

    The server may not have noticed yet that the last connection has ended, so the database is dropped by force.
    """
    name = f"{prefix}_{uuid.uuid4().hex}"
    asyncio.run(_execute(dsn, f"CREATE DATABASE {name}"))
    try:
        settings = PostgresSettings(dsn=SecretStr(f"{dsn.rpartition('/')[0]}/{name}"))
        if migrate is not None:
            asyncio.run(_migrate(migrate, settings))
        yield settings
    finally:
        asyncio.run(_execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))


async def _migrate(
    migrate: Callable[[PostgresSettings], Awaitable[None]], settings: PostgresSettings
) -> None:
    await migrate(settings)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def empty_tables(pool: Pool, schema: str) -> None:
    """Delete all rows of a service's schema but those that say which migrations were applied."""
    tables = await pool.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname = $1 AND tablename <> 'migrations'",
        schema,
    )
    await pool.execute(f"TRUNCATE {', '.join(row['name'] for row in tables)} CASCADE")
