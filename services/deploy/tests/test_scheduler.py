"""What goes on by itself goes on after a database that was away, however asyncpg tells of it."""

import asyncio
from datetime import UTC, datetime
from typing import cast

import asyncpg
import pytest

from k1_deploy.orchestration import scheduler as module
from k1_deploy.orchestration.executor_factory import ExecutorFactory
from k1_deploy.orchestration.scheduler import DeploymentScheduler
from k1_platform.database import TRANSIENT_ERRORS, Pool
from k1_platform.dead_letters import classify

DYING = [
    ConnectionRefusedError("away"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.InterfaceError("connection has been released back to the pool"),
    asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress"),
]


async def test_work_goes_on_after_the_database_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed server makes asyncpg raise also what it calls its own error; the process does not end by it."""
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
def test_a_message_comes_again_when_the_database_was_away(error: Exception) -> None:
    """As often as of any other dependency that is away."""
    failure = classify(error, TRANSIENT_ERRORS, 6)
    assert (failure.code, failure.attempts_allowed) == ("dependency_failed", 6)
