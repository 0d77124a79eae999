"""Background work continues after the database was unavailable, whichever error asyncpg raises."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import asyncpg
import pytest

from k1_deploy.orchestration.execution import scheduler as module
from k1_deploy.orchestration.execution.executor_factory import ExecutorFactory
from k1_deploy.orchestration.execution.scheduler import DeploymentScheduler
from k1_platform.nats.dead_letters.middleware import classify
from k1_platform.postgres.pool import TRANSIENT_ERRORS, Pool

DYING = [
    ConnectionRefusedError("away"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.InterfaceError("connection has been released back to the pool"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
]


async def test_work_continues_after_the_database_was_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed server makes asyncpg raise internal errors as well; the process continues."""
    monkeypatch.setattr(module, "POLL_S", 0.0)
    runner = DeploymentScheduler(
        cast("Pool", None), cast(ExecutorFactory, None), lambda: datetime.now(UTC), lease_s=5
    )
    errors, survived = list(DYING), asyncio.Event()

    async def work() -> None:
        if errors:
            raise errors.pop()
        survived.set()
        await asyncio.Event().wait()

    working = asyncio.create_task(runner._retry_forever(work))
    done = asyncio.create_task(survived.wait())
    await asyncio.wait({working, done}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    assert survived.is_set(), working
    working.cancel()


@pytest.mark.parametrize("error", DYING, ids=lambda error: type(error).__name__)
def test_a_message_is_redelivered_after_the_database_was_unavailable(error: Exception) -> None:
    """It is retried as for any other dependency that is unavailable."""
    failure = classify(error, TRANSIENT_ERRORS, 6)
    assert (failure.code, failure.attempts_allowed) == ("dependency_failed", 6)
