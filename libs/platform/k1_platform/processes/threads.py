"""Runs blocking functions in threads, for coroutines.

`asyncio.to_thread` never returns if the function raises StopIteration, because a Future cannot carry it. All services
use `in_thread` instead; ruff bans `asyncio.to_thread`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a blocking function in a thread of the event loop; raise what it raises.

    Raises:
        RuntimeError: the function raised StopIteration.
    """
    return await in_executor(None, function, *args, **kwargs)


async def in_executor(
    executor: Executor | None, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """Call a blocking function in a thread of `executor`; otherwise like `in_thread`."""
    context = copy_context()

    def call() -> R:
        try:
            return context.run(function, *args, **kwargs)
        except StopIteration as error:
            raise RuntimeError("the function raised StopIteration") from error

    return await asyncio.get_running_loop().run_in_executor(executor, call)
