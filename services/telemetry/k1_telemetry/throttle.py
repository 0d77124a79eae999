"""At most so many a second of each, and never without the newest: pure, with the time passed in."""

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

LIVE_PER_SECOND: Final = 10
_WINDOW_S: Final = 1.0

T = TypeVar("T")


class Throttle(Generic[T]):
    """Lets ten of a key pass in any second; of what must wait, the newest is kept."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[float]] = {}
        self._held: dict[str, T] = {}

    def offer(self, key: str, item: T, now_s: float) -> bool:
        """Whether the item passes now; otherwise `due` gives it later, unless a newer one takes its place."""
        passed = self._passed.setdefault(key, deque(maxlen=LIVE_PER_SECOND))
        if not _free(passed, now_s):
            self._held[key] = item
            return False
        passed.append(now_s)
        self._held.pop(key, None)
        return True

    def due(self, now_s: float) -> Iterator[tuple[str, T]]:
        """The held items that pass now."""
        for key in [key for key in self._held if _free(self._passed[key], now_s)]:
            self._passed[key].append(now_s)
            yield key, self._held.pop(key)

    def forget(self, key: str) -> None:
        """A key that is not expected again soon; what it had waiting is dropped."""
        self._passed.pop(key, None)
        self._held.pop(key, None)


def _free(passed: deque[float], now_s: float) -> bool:
    return len(passed) < LIVE_PER_SECOND or now_s - passed[0] >= _WINDOW_S
