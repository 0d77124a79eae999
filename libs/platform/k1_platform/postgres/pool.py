"""Opens pools of PostgreSQL connections with asyncpg, and names the errors of a database."""

import asyncpg

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


async def open_pool(settings: PostgresSettings, application: str) -> Pool:
    """Open a pool of connections that carry the name of the application."""
    return await asyncpg.create_pool(
        settings.dsn.get_secret_value(),
        min_size=1,
        max_size=settings.pool_size,
        command_timeout=30,
        server_settings={"application_name": f"k1-{application}"},
    )


async def check_database(pool: Pool) -> None:
    """Raise unless the database responds; a readiness check."""
    await pool.fetchval("SELECT 1", timeout=2)
