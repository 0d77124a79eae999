"""An event loop with simulated time, so that schedules can be checked to the microsecond on any machine."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop whose clock starts at 0 and jumps to the next timer when nothing else is ready."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_NoWaiting(self))

    def time(self) -> float:
        return self._now_s

    def pass_by(self, seconds: float) -> None:
        """Advance the clock."""
        self._now_s += seconds

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, and close the loop."""
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
