"""Opens pools of PostgreSQL connections with asyncpg, and names the errors of a database."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from typing_extensions import override

from k1_platform.settings import PostgresSettings

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Pool = asyncpg.Pool

TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    # asyncpg may raise it when a server dies while a connection is in use: "cannot switch to state ...".
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
)
"""Errors of a database that stops, starts or is busy; a message handler may succeed later."""
DATABASE_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""All errors of a database, for background work that tries again later."""


class _PooledConnection(asyncpg.Connection):
    @override
    def get_reset_query(self) -> str:
        """Return nothing: resetting the session would cost each use of a connection a further round trip.

        So a session may keep no state: settings are set with SET LOCAL, listeners are removed by who added them, and
        locks of sessions are taken with `session_lock`. asyncpg itself ends an open transaction.
        """
        return ""


async def open_pool(settings: PostgresSettings, application: str) -> Pool:
    """Open a pool of connections that carry the name of the application.

    A connection that is returned to the pool is not reset: see `_PooledConnection`.
    """
    return await asyncpg.create_pool(
        settings.dsn.get_secret_value(),
        min_size=1,
        max_size=settings.pool_size,
        command_timeout=30,
        connection_class=_PooledConnection,
        server_settings={"application_name": f"k1-{application}"},
    )


async def check_database(pool: Pool) -> None:
    """Raise unless the database responds; a readiness check."""
    await pool.fetchval("SELECT 1", timeout=2)


@asynccontextmanager
async def session_lock(pool: Pool, name: str) -> AsyncGenerator[bool]:
    """Hold an advisory lock while the block runs, which may have several transactions; yield False if another holds it."""
    async with pool.acquire() as connection:
        held = bool(await _fetch_or_close(connection, "SELECT pg_try_advisory_lock(hashtext($1))", name))
        try:
            yield held
        finally:
            if held:
                await _fetch_or_close(connection, "SELECT pg_advisory_unlock(hashtext($1))", name)


async def _fetch_or_close(connection: Connection, query: str, name: str) -> Any:
    """Return the value of a query that takes or releases a lock; if it fails, close the connection and so the lock."""
    try:
        return await connection.fetchval(query, name)
    except BaseException:
        connection.terminate()
        raise
