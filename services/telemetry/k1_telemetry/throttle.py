"""At most so many a second of each, and never without the newest: pure, with the time passed in."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

LIVE_PER_SECOND: Final = 10
_INTERVAL_S: Final = 1 / LIVE_PER_SECOND
_TOLERANCE_S: Final = _INTERVAL_S / 2
"""How early one may come: readings at just this rate pass although their times are never exact."""
HELD_S: Final = 1.5 * _INTERVAL_S

T = TypeVar("T")


class Throttle(Generic[T]):
    """Lets ten a second of a key pass, in any second at most one more.

    What comes too early is left out, but for the newest, which passes when nothing newer has come for a while.
    It does not pass as soon as it might: then the next would come too early in its turn, and a device that was
    held up once would be shown late for ever.
    """

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}
        self._held: dict[str, tuple[float, T]] = {}

    def offer(self, key: str, item: T, now_s: float) -> bool:
        """Whether the item passes now; otherwise `due` may give it later."""
        next_s = self._next_s.get(key, now_s)
        if now_s < next_s - _TOLERANCE_S:
            self._held[key] = now_s, item
            return False
        self._next_s[key] = max(next_s, now_s) + _INTERVAL_S
        self._held.pop(key, None)
        return True

    def due(self, now_s: float) -> Iterator[tuple[str, T]]:
        """The held items that pass now."""
        for key in [key for key, (since_s, _) in self._held.items() if now_s - since_s >= HELD_S]:
            item = self._held.pop(key)[1]
            if self.offer(key, item, now_s):
                yield key, item

    def forget(self, key: str) -> None:
        """A key that is not expected again soon; what it had waiting is dropped."""
        self._next_s.pop(key, None)
        self._held.pop(key, None)
