"""Locks of sessions in a pool whose connections are not reset."""

import asyncio

import pytest

from k1_platform.postgres.pool import DATABASE_ERRORS, open_pool, session_lock
from k1_platform.settings import PostgresSettings

LOCK = "test.session_lock"


async def test_one_holds_it_until_it_ends_or_fails(provisioned: object) -> None:
    """The connection goes back to the pool without the lock, also when the block was cancelled."""
    async with (
        await open_pool(PostgresSettings(), "first") as first,
        await open_pool(PostgresSettings(), "other") as other,
    ):
        async with session_lock(first, LOCK) as held, session_lock(other, LOCK) as refused:
            assert (held, refused) == (True, False)

        began = asyncio.Event()

        async def hold() -> None:
            async with session_lock(first, LOCK):
                began.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with session_lock(other, LOCK) as held:
            assert held


async def test_a_lost_connection_loses_the_lock(provisioned: object) -> None:
    """The database drops the lock with the session; whoever held it hears of that at the end."""
    async with (
        await open_pool(PostgresSettings(), "lost") as lost,
        await open_pool(PostgresSettings(), "other") as other,
    ):
        with pytest.raises(DATABASE_ERRORS):
            async with session_lock(lost, LOCK):
                await other.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'k1-lost'"
                )
        async with session_lock(lost, LOCK) as held:
            assert held
