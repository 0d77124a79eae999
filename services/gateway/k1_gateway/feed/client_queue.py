"""The events that wait for one client: bounded, the oldest samples go first, events are never lost silently. Pure."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from k1_gateway.feed.event import FeedEvent
from k1_gateway.feed.position import Position

QUEUE_SIZE: Final = 1000
"""Events that wait for one client. They are shared by all clients, so a full queue costs about 8 kB."""
BATCH_SIZE: Final = 200
Missed = Literal["events", "samples"]
"""One of the two streams."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The gateway no longer has what followed a client's position."""

    missed: Missed
    """`events`: read everything again. `samples`: newer ones follow by themselves."""
    after: Position
    resumed_at: Position


@dataclass(frozen=True, slots=True)
class Batch:
    """What a client gets next, in this order."""

    gaps: list[Gap]
    dropped: int
    """Samples that were dropped before the events."""
    events: list[tuple[Position, FeedEvent]]

    @property
    def is_empty(self) -> bool:
        return not (self.gaps or self.dropped or self.events)


class ClientQueue:
    """Everything that one client has still to get. A client that catches up gets the history first."""

    def __init__(self, size: int = QUEUE_SIZE) -> None:
        self._size = size
        self._history: deque[FeedEvent] = deque()
        self._events: deque[FeedEvent] = deque()
        self._samples: deque[FeedEvent] = deque()
        self._gaps: list[Gap] = []
        self._dropped = 0
        self.position = Position(0, 0)
        """What the client has got, or has no interest in."""
        self.dropped_total = 0
        self.is_overflown = False
        """Events were lost: the connection has to end, and the client to come back with its last id."""
        self.changed = asyncio.Event()
        """Set while something waits; whoever waits for it also sets it at times."""

    @property
    def is_empty(self) -> bool:
        return not (self._history or self._events or self._samples or self._gaps or self._dropped)

    def start(self, position: Position, history: Iterable[FeedEvent] = (), gaps: Iterable[Gap] = ()) -> None:
        """Begin at a position, with the events after it that were published meanwhile."""
        self.position = position
        self._history.extend(history)
        self._gaps.extend(gaps)
        if not self.is_empty:
            self.changed.set()

    def offer(self, event: FeedEvent) -> None:
        """Add a new event without waiting."""
        if self.is_overflown:
            return  # the client gets it when it comes back
        if len(self._events) + len(self._samples) >= self._size and not self._make_room(event):
            return
        (self._events if event.is_durable else self._samples).append(event)
        self.changed.set()

    def _make_room(self, event: FeedEvent) -> bool:
        """Drop a sample, and return whether there is now room for the event."""
        self.changed.set()
        if event.is_durable and not self._samples:
            self.is_overflown = True
            return False
        self._dropped += 1
        self.dropped_total += 1
        if not self._samples:
            return False
        self._samples.popleft()
        return True

    def take(self, limit: int = BATCH_SIZE) -> Batch:
        """Return and remove what comes next; `changed` stays set while there is more."""
        gaps, self._gaps = self._gaps, []
        events: list[tuple[Position, FeedEvent]] = []
        while self._history and len(events) < limit:
            event = self._history.popleft()
            events.append((self.pass_by(event), event))
        dropped = 0
        if not self._history:
            dropped, self._dropped = self._dropped, 0
            while (source := self._next_source()) and len(events) < limit:
                event = source.popleft()
                events.append((self.pass_by(event), event))
        if self.is_empty:
            self.changed.clear()
        return Batch(gaps, dropped, events)

    def _next_source(self) -> deque[FeedEvent] | None:
        if not (self._events and self._samples):
            return self._events or self._samples or None
        return self._events if self._events[0].order < self._samples[0].order else self._samples

    def pass_by(self, event: FeedEvent) -> Position:
        """Return the position of the client when it has got an event."""
        self.position = self.position.joined(event.position)
        return self.position
