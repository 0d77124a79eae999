"""PostgreSQL through asyncpg."""

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
    # What asyncpg raises at times when a server dies while a connection is in use: "cannot switch to state ...".
    asyncpg.InternalClientError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
)
"""Errors of a database that is going away, coming back or busy."""
DATABASE_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""All that may come of a database: for work that goes on by itself and tries again later."""


async def open_pool(settings: PostgresSettings, application: str) -> Pool:
    """A pool of connections named after the application that holds them."""
    return await asyncpg.create_pool(
        settings.dsn.get_secret_value(),
        min_size=1,
        max_size=settings.pool_size,
        command_timeout=30,
        server_settings={"application_name": f"k1-{application}"},
    )


async def check_database(pool: Pool) -> None:
    """Raise unless the database answers; for readiness."""
    await pool.fetchval("SELECT 1", timeout=2)
