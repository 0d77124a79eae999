"""Tasks that end when they are told to, and waiting that lets them.

Before Python 3.12 `asyncio.wait_for`, which nats-py waits with, loses a cancellation that comes together with what it
waits for. Whoever is cancelled only once, as by a `TaskGroup`, may then go on for ever.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")
CANCEL_INTERVAL_S: Final = 5.0
"""Longer than most take to leave in good order; who may take longer must say so, or is interrupted in it."""


async def cancel_tasks(tasks: Iterable[asyncio.Task[Any]], interval_s: float = CANCEL_INTERVAL_S) -> None:
    """Cancel them, and again every `interval_s`, until all have ended; what they raise is theirs."""
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
    """Run all until one ends, then end the others; raises what the first that failed raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_tasks(tasks, interval_s)
    failures = [error for task in tasks if not task.cancelled() and (error := task.exception())]
    if failures:
        raise failures[0]


async def is_set_within(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, at most so long; whether it was set. Unlike `wait_for` it loses no cancellation."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def contain_exits(work: Awaitable[T]) -> T:
    """Await `work`; what it raises is an Exception, unless this task itself was cancelled.

    A handler that raises SystemExit would end the event loop, one that raises CancelledError would end its caller
    in silence.

    Raises:
        RuntimeError: `work` raised something that is no Exception.
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
