"""The newest events of one stream, from which clients that were away catch up. Pure."""

from collections import deque

from k1_gateway.feed.event import FeedEvent


class History:
    """Keeps the newest events within a number of events and of bytes."""

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events, self._max_bytes = max_events, max_bytes
        self._events: deque[FeedEvent] = deque()
        self._bytes = 0
        self.complete_after = 0
        """All events with a higher sequence are here."""

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: FeedEvent) -> None:
        """Add the newest event; the oldest go."""
        self._events.append(event)
        self._bytes += len(event.json)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            oldest = self._events.popleft()
            self._bytes -= len(oldest.json)
            self.complete_after = oldest.sequence

    def restart(self, after: int) -> None:
        """Forget all, because what follows `after` does not continue it."""
        self._events.clear()
        self._bytes = 0
        self.complete_after = after

    def after(self, sequence: int) -> list[FeedEvent]:
        """Return the events with a higher sequence, oldest first."""
        newer: list[FeedEvent] = []
        for event in reversed(self._events):
            if event.sequence <= sequence:
                break
            newer.append(event)
        newer.reverse()
        return newer
