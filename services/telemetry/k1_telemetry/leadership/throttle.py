"""Limits the rate of live samples for each device and always keeps the newest; pure, callers pass the time in."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

LIVE_PER_SECOND: Final = 10
_INTERVAL_S: Final = 1 / LIVE_PER_SECOND
_TOLERANCE_S: Final = _INTERVAL_S / 2
"""How early an item may come: readings at exactly the allowed rate pass although their times vary."""
HOLD_S: Final = 1.5 * _INTERVAL_S
"""How long an item is held before it may pass."""

T = TypeVar("T")


class Throttle(Generic[T]):
    """Passes ten items a second for each key; in any one second at most one more.

    Items that come too early are dropped, except for the newest. The newest is held, and passes when no newer
    item has come for `HOLD_S`. It does not pass at the first allowed moment: then the next item would be too
    early as well, and a device that was delayed once would stay delayed.
    """

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}
        self._held: dict[str, tuple[float, T]] = {}

    @property
    def holds_items(self) -> bool:
        """Return whether an item is held."""
        return bool(self._held)

    def offer(self, key: str, item: T, now_s: float) -> bool:
        """Return whether the item passes now; if not, it is held and `due` may return it later."""
        next_s = self._next_s.get(key, now_s)
        if now_s < next_s - _TOLERANCE_S:
            self._held[key] = now_s, item
            return False
        self._next_s[key] = max(next_s, now_s) + _INTERVAL_S
        self._held.pop(key, None)
        return True

    def due(self, now_s: float) -> Iterator[tuple[str, T]]:
        """Yield the held items that pass now, with their keys."""
        for key in [key for key, (since_s, _) in self._held.items() if now_s - since_s >= HOLD_S]:
            item = self._held.pop(key)[1]
            if self.offer(key, item, now_s):
                yield key, item

    def forget(self, key: str) -> None:
        """Remove a key that is not expected soon, and drop its held item."""
        self._next_s.pop(key, None)
        self._held.pop(key, None)
