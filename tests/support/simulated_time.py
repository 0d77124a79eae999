"""Time that goes on only when all wait for it: schedules can be checked to the microsecond on any machine."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock begins at 0 and goes on at once to whatever is due next."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_NoWaiting(self))

    def time(self) -> float:
        return self._now_s

    def pass_by(self, seconds: float) -> None:
        """As if so much had gone by."""
        self._now_s += seconds

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end and close."""
        try:
            return self.run_until_complete(work)
        finally:
            self.close()


class _NoWaiting(selectors.SelectSelector):
    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self._clock.pass_by(max(timeout, 0.0))
        return ready
