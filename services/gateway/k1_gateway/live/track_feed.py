"""Reads the live feed of a track from its stream for one client, and counts what a slow client misses."""

import asyncio
import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from k1_contracts.messages.telemetry import LIVE_TRACK
from k1_contracts.streams import LIVE_TRACKS
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.streams.pull_consumer import PullConsumer
from k1_platform.processes.tasks import is_set_within

BUFFER_SIZE: Final = 500
"""Items that wait for one client: five seconds of ten devices."""
_READING_FIELDS: Final = ("timestamp", "device_id", "drift_ms", "cpu_pct", "temp_c", "fps", "error")
_INACTIVE_THRESHOLD_S: Final = 30.0
_RETRY_PAUSE_S: Final = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FeedItem:
    """A reading or an event as the stream holds it."""

    sequence: int
    body: dict[str, Any]

    @property
    def is_event(self) -> bool:
        """Return whether the item is an event; a full buffer drops readings first."""
        return "event" in self.body

    def encode(self) -> bytes:
        """Return the server-sent event: a reading with exactly the fields of the API, an event under its name."""
        if not self.is_event:
            reading = {name: self.body.get(name) for name in _READING_FIELDS}
            return b"id: %d\ndata: %s\n\n" % (self.sequence, _json(reading))
        return b"id: %d\n%s" % (self.sequence, encode_event(self.body))


def encode_event(body: dict[str, Any]) -> bytes:
    """Return a server-sent event without an id, so that the client's last event id stays as it is."""
    name = "".join(letter for letter in str(body["event"]) if letter.isalnum() or letter == "_")
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _json(body))


def parse_item(sequence: int, data: bytes) -> FeedItem | None:
    """Return the item that a message holds; None for a message that is neither a reading nor an event."""
    try:
        body: object = json.loads(data)
    except ValueError:
        return None
    return FeedItem(sequence, body) if isinstance(body, dict) and "timestamp" in body else None


class FeedBuffer:
    """The items that were read and not yet sent, oldest first. A full buffer drops readings before events."""

    def __init__(self, size: int = BUFFER_SIZE) -> None:
        self._size = size
        self._items: deque[FeedItem] = deque()
        self._dropped = 0
        self._missed: tuple[int, int] | None = None
        self._changed = asyncio.Event()

    def put(self, item: FeedItem) -> None:
        """Add an item without waiting."""
        if len(self._items) >= self._size:
            oldest = next((index for index, kept in enumerate(self._items) if not kept.is_event), 0)
            del self._items[oldest]
            self._dropped += 1
        self._items.append(item)
        self._changed.set()

    def set_missed(self, after: int, first: int) -> None:
        """Record that the stream holds only items from the sequence `first` on, of those that came after `after`."""
        self._missed = (after, first)
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait until there is something to send, or until the timeout."""
        await is_set_within(self._changed, timeout_s)

    def take(self) -> tuple[list[FeedItem], int, tuple[int, int] | None]:
        """Return and remove all items, the number of dropped ones, and the sequences that `set_missed` recorded."""
        items, dropped, missed = list(self._items), self._dropped, self._missed
        self._items.clear()
        self._dropped, self._missed = 0, None
        self._changed.clear()
        return items, dropped, missed


class TrackFeed:
    """Reads the feed of one track in order. After an interruption of the broker it continues where it stopped."""

    def __init__(self, bus: Bus, track_id: str, after: int | None, buffer: FeedBuffer) -> None:
        """`after` is the last sequence that the client has; None starts with new items."""
        self._bus = bus
        self._subject = LIVE_TRACK.subject_for(track_id)
        self._after = after
        self._buffer = buffer

    async def run(self) -> None:
        """Read into the buffer until cancelled."""
        while True:
            try:
                await self._read(await self._add_consumer())
            except (TransientError, NatsError, TimeoutError, OSError) as error:
                _log.warning("live feed interrupted", extra={"reason": repr(error)})
                await asyncio.sleep(_RETRY_PAUSE_S)

    async def _add_consumer(self) -> str:
        """Create an ephemeral consumer that continues after the last read sequence; return its name."""
        jetstream: JetStreamContext = self._bus.jetstream
        state = (await jetstream.stream_info(LIVE_TRACKS)).state
        if self._after is None:
            self._after = state.last_seq
        elif self._after > state.last_seq or self._after + 1 < state.first_seq:
            # The items are too old, or the stream was recreated and counts from one again.
            self._buffer.set_missed(self._after, state.first_seq)
            self._after = state.first_seq - 1
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(self._after + 1, 1),
            filter_subject=self._subject,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=_INACTIVE_THRESHOLD_S,
        )
        return (await jetstream.add_consumer(LIVE_TRACKS, config)).name

    async def _read(self, consumer: str) -> None:
        async with PullConsumer(self._bus.client, LIVE_TRACKS, consumer) as puller:
            try:
                while True:
                    for message in (await puller.next()).messages:
                        self._after = message.metadata.sequence.stream
                        if (item := parse_item(self._after, message.data)) is not None:
                            self._buffer.put(item)
            finally:
                await self._remove_consumer(consumer)

    async def _remove_consumer(self, consumer: str) -> None:
        try:
            await self._bus.jetstream.delete_consumer(LIVE_TRACKS, consumer)
        except (NatsError, TimeoutError, OSError):
            _log.debug("the consumer was not removed; the broker removes it when it has been inactive")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
