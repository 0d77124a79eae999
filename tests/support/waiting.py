"""Waits for conditions, so that no test sleeps for a guessed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")
PATIENCE_S: Final = 120.0
"""Ends a test that hangs; no promise is made about it."""
Errors = tuple[type[Exception], ...]


def wait_until(
    condition: Callable[[], T | None],
    what: str,
    *,
    within_s: float = PATIENCE_S,
    interval_s: float = 0.05,
    retry_on: Errors = (),
) -> T:
    """Call the condition until it returns a true value; return that value.

    An error in `retry_on` counts as "not yet".

    Raises:
        AssertionError: the condition stayed false; names `what`, and the last value or error.
    """
    deadline = time.monotonic() + within_s
    seen: object = None
    while True:
        try:
            found = condition()
        except retry_on as error:
            seen = error
        else:
            if found:
                return found
            seen = found
        if time.monotonic() >= deadline:
            raise AssertionError(_message(what, within_s, seen))
        time.sleep(interval_s)


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    what: str,
    *,
    within_s: float = ...,
    interval_s: float = ...,
    retry_on: Errors = ...,
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None],
    what: str,
    *,
    within_s: float = ...,
    interval_s: float = ...,
    retry_on: Errors = ...,
) -> T: ...
async def eventually(
    condition: Callable[[], Any],
    what: str,
    *,
    within_s: float = PATIENCE_S,
    interval_s: float = 0.02,
    retry_on: Errors = (),
) -> Any:
    """Do the same as `wait_until` in an event loop; the condition may be a coroutine function.

    A condition that hangs is cancelled when the time is over.
    """
    seen: object = None
    try:
        async with asyncio.timeout(within_s) as limit:
            while True:
                try:
                    found = condition()
                    if inspect.isawaitable(found):
                        found = await found
                except retry_on as error:
                    seen = error
                else:
                    if found:
                        return found
                    seen = found
                await asyncio.sleep(interval_s)
    except TimeoutError:
        if not limit.expired():
            raise  # an error of the condition
        raise AssertionError(_message(what, within_s, seen)) from None


def _message(what: str, within_s: float, seen: object) -> str:
    return f"not within {within_s:g} s: {what}; last seen: {seen!r}"
