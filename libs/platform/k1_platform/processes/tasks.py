"""Cancels tasks reliably and waits without losing a cancellation.

Before Python 3.12 `asyncio.wait_for`, which nats-py uses, loses a cancellation that arrives together with its result. A
task that is cancelled only once, as by a `TaskGroup`, may then run for ever.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")
CANCEL_INTERVAL_S: Final = 5.0
"""How long a cancelled task may take to clean up before it is cancelled again; most tasks need less."""


async def cancel_tasks(tasks: Iterable[asyncio.Task[Any]], interval_s: float = CANCEL_INTERVAL_S) -> None:
    """Cancel the tasks, and again every `interval_s`, until all have ended; their exceptions are not raised."""
    pending, cancelled = {task for task in tasks if not task.done()}, False
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=interval_s)
        except asyncio.CancelledError:
            cancelled = True
        pending = {task for task in pending if not task.done()}
    if cancelled:
        raise asyncio.CancelledError


async def run_together(*works: Coroutine[Any, Any, None], interval_s: float = CANCEL_INTERVAL_S) -> None:
    """Run all until one ends, then cancel the others; raise the exception of the first task that failed."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(tasks, interval_s)
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    if failures:
        raise failures[0]


async def is_set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event for at most `seconds`; return whether it was set. Unlike `wait_for` it loses no cancellation."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def contain_exits(work: Awaitable[T]) -> T:
    """Await `work` and raise only an `Exception`, unless this task itself was cancelled.

    A handler that raises SystemExit would end the event loop; one that raises CancelledError would end its caller
    without an error.

    Raises:
        RuntimeError: `work` raised a BaseException that is no Exception.
    """
    try:
        return await work
    except Exception:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise RuntimeError(f"raised {type(error).__name__}: {error}") from error
