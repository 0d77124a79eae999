"""What flows on the live feed of a track, read from its stream for one client, and what a slow client misses."""

import asyncio
import json
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from k1_contracts import subjects
from k1_contracts.streams import LIVE_TRACKS
from k1_platform.errors import TransientError
from k1_platform.nats.client import Bus
from k1_platform.nats.pull_consumer import PullConsumer
from k1_platform.processes.tasks import is_set_within

MOST_WAITING: Final = 500
"""Things that wait for one client: five seconds of ten devices."""
_SAMPLE_FIELDS: Final = ("timestamp", "device_id", "drift_ms", "cpu_pct", "temp_c", "fps", "error")
_UNUSED_S: Final = 30.0
_PAUSE_S: Final = 0.5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """A sample or an event as the stream holds it."""

    sequence: int
    body: dict[str, Any]

    @property
    def is_event(self) -> bool:
        """Events are kept longer than samples."""
        return "event" in self.body

    def sse(self) -> bytes:
        """As the client gets it: samples with exactly the fields of the API, events under their name."""
        if not self.is_event:
            sample = {name: self.body.get(name) for name in _SAMPLE_FIELDS}
            return b"id: %d\ndata: %s\n\n" % (self.sequence, _json(sample))
        return b"id: %d\n%s" % (self.sequence, sse_event(self.body))


def sse_event(body: dict[str, Any]) -> bytes:
    """An event without an id: where a client stands in the stream does not change by it."""
    name = "".join(letter for letter in str(body["event"]) if letter.isalnum() or letter == "_")
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _json(body))


def parse(sequence: int, data: bytes) -> Item | None:
    """None for what is neither sample nor event."""
    try:
        body: object = json.loads(data)
    except ValueError:
        return None
    return Item(sequence, body) if isinstance(body, dict) and "timestamp" in body else None


class Waiting:
    """What was read and not yet sent, oldest first and bounded: samples make room before events do."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._items: deque[Item] = deque()
        self._dropped = 0
        self._missed: tuple[int, int] | None = None
        self._news = asyncio.Event()

    def put(self, item: Item) -> None:
        """Never waits."""
        if len(self._items) >= self._most:
            oldest = next((index for index, kept in enumerate(self._items) if not kept.is_event), 0)
            del self._items[oldest]
            self._dropped += 1
        self._items.append(item)
        self._news.set()

    def tell_missed(self, after: int, first: int) -> None:
        """Of what came after `after`, the stream holds only what came from `first` on."""
        self._missed = (after, first)
        self._news.set()

    async def wait(self, timeout_s: float) -> None:
        """Until there is something, or the time is over."""
        await is_set_within(self._news, timeout_s)

    def take(self) -> tuple[list[Item], int, tuple[int, int] | None]:
        """All that waits, how many were dropped before it, and what was missed before that."""
        items, dropped, missed = list(self._items), self._dropped, self._missed
        self._items.clear()
        self._dropped, self._missed = 0, None
        self._news.clear()
        return items, dropped, missed


class Feed:
    """Reads the feed of one track in order; a broker that was away is followed from where it was left."""

    def __init__(self, bus: Bus, track_id: str, after: int | None, waiting: Waiting) -> None:
        """`after`: the last sequence that the client has; None begins with what is new."""
        self._bus, self._subject, self._after, self._waiting = (
            bus,
            subjects.live_track(track_id),
            after,
            waiting,
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._follow(await self._consumer())
            except (TransientError, NatsError, TimeoutError, OSError) as error:
                _log.warning("live feed interrupted", extra={"reason": repr(error)})
                await asyncio.sleep(_PAUSE_S)

    async def _consumer(self) -> str:
        """An ephemeral consumer from where we stand."""
        jetstream: JetStreamContext = self._bus.jetstream
        state = (await jetstream.stream_info(LIVE_TRACKS)).state
        if self._after is None:
            self._after = state.last_seq
        elif self._after > state.last_seq or self._after + 1 < state.first_seq:
            # Gone by age, or the stream was made anew and counts from one again.
            self._waiting.tell_missed(self._after, state.first_seq)
            self._after = state.first_seq - 1
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=max(self._after + 1, 1),
            filter_subject=self._subject,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=_UNUSED_S,
        )
        return (await jetstream.add_consumer(LIVE_TRACKS, config)).name

    async def _follow(self, consumer: str) -> None:
        async with PullConsumer(self._bus.client, LIVE_TRACKS, consumer) as puller:
            try:
                while True:
                    for message in (await puller.next()).messages:
                        self._after = message.metadata.sequence.stream
                        if (item := parse(self._after, message.data)) is not None:
                            self._waiting.put(item)
            finally:
                await self._remove(consumer)

    async def _remove(self, consumer: str) -> None:
        try:
            await self._bus.jetstream.delete_consumer(LIVE_TRACKS, consumer)
        except (NatsError, TimeoutError, OSError):
            _log.debug("the consumer was not removed; it goes when it has not been used for a while")


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
