"""The live feed of one gateway: what it read from the two streams, and a queue for each client, found by topic.

There is one reader for each stream, however many clients there are. All methods but `wait_for` are synchronous, so that a
client which subscribes sees each event exactly once: in the history, or in its queue.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge
from typing import Final, Literal

from nats.aio.msg import Msg

from k1_gateway.feed.client_queue import ClientQueue, Gap, Missed
from k1_gateway.feed.event import FeedEvent, read_event
from k1_gateway.feed.history import History
from k1_gateway.feed.metrics import FeedMetrics
from k1_gateway.feed.position import Position

MIB: Final = 1024 * 1024
HISTORY_EVENTS: Final = 20_000
HISTORY_SAMPLES: Final = 50_000
HISTORY_MAX_BYTES: Final = 32 * MIB
TOO_SLOW: Final = "too_slow"
"""The reason for which a client is sent away whose queue is full of events, which are never dropped."""
_CATCH_UP_INTERVAL_S: Final = 0.01
Kind = Literal["sse", "poll", "websocket", "graphql"]
SendNow = Callable[[list[FeedEvent]], bool]
"""Sends events at once; returns False, without having sent any, where the connection cannot take them now."""


@dataclass(slots=True, eq=False)
class Client:
    """One client of the feed."""

    kind: Kind
    queue: ClientQueue = field(default_factory=ClientQueue)
    topics: set[str] = field(default_factory=set[str])
    ended: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Why the connection has to end, once it has to."""
    send_now: SendNow | None = None
    """The short way past the queue, while the connection has nothing else to send; it costs no wake-up of a task."""
    fresh: list[FeedEvent] = field(default_factory=list[FeedEvent])
    """Events that are to be delivered next."""

    @property
    def close_reason(self) -> str | None:
        """Return why the connection has to end; None while it may go on."""
        return self.ended.result() if self.ended.done() else None

    def deliver(self) -> None:
        """Send the fresh events, or let them wait in the queue."""
        events, self.fresh = self.fresh, []
        if self.send_now is not None and not self.queue.changed.is_set() and self.send_now(events):
            return
        for event in events:
            self.queue.offer(event)
        if self.queue.is_overflown:
            self.close(TOO_SLOW)

    def close(self, reason: str) -> None:
        """End the connection; the first reason stays. The client may come back with its last id."""
        if not self.ended.done():
            self.ended.set_result(reason)


class Feed:
    """Passes each event to the clients of its topics."""

    def __init__(self, metrics: FeedMetrics) -> None:
        self.metrics = metrics
        self.position = Position(0, 0)
        self._events = History(HISTORY_EVENTS, HISTORY_MAX_BYTES)
        self._samples = History(HISTORY_SAMPLES, HISTORY_MAX_BYTES)
        self._order = 0
        self._clients: set[Client] = set()
        self._undelivered: list[Client] = []
        self._by_topic: dict[str, set[Client]] = {}
        self._unread: set[Missed] = {"events", "samples"}
        self._ready = asyncio.Event()

    # What the readers call

    def restart(self, stream: Missed, after: int) -> None:
        """Start a stream anew after a sequence: at the start, or where the broker no longer has what came next.

        In the second case the clients are sent away; when they come back with their last id they learn what it means.
        """
        event = after if stream == "events" else self.position.event
        sample = after if stream == "samples" else self.position.sample
        self.position = Position(event, sample)
        self._history(stream).restart(after)
        if self.is_ready:
            self.close_all("feed_restarted")

    def set_loaded(self, stream: Missed) -> None:
        """Record that the history of a stream has been read."""
        self._unread.discard(stream)
        if not self._unread:
            self._ready.set()

    def add(self, stream: Missed, *messages: Msg) -> None:
        """Pass on what messages hold; what comes together for a client is sent together."""
        for message in messages:
            self._add_one(stream, message)
        clients, self._undelivered = self._undelivered, []
        for client in clients:
            client.deliver()

    def _add_one(self, stream: Missed, message: Msg) -> None:
        metadata = message.metadata
        sequence = metadata.sequence.stream
        moved = Position(sequence, 0) if stream == "events" else Position(0, sequence)
        self.position = self.position.joined(moved)
        event = read_event(message, self.position, self._order, metadata.timestamp)
        if event is None:
            return
        self._order += 1
        self._history(stream).add(event)
        if not self.is_ready:
            return
        for client in self._clients_of(event.topics):
            if not client.fresh:
                self._undelivered.append(client)
            client.fresh.append(event)
        self.metrics.delay.observe(max((datetime.now(UTC) - metadata.timestamp).total_seconds(), 0.0))

    def _history(self, stream: Missed) -> History:
        return self._events if stream == "events" else self._samples

    def _clients_of(self, topics: Iterable[str]) -> Iterable[Client]:
        found = [clients for topic in topics if (clients := self._by_topic.get(topic))]
        return found[0] if len(found) == 1 else set[Client]().union(*found)

    # What the connections call

    @property
    def is_ready(self) -> bool:
        """Return whether the history has been read: before that, nobody could be told what they missed."""
        return self._ready.is_set()

    async def wait_for(self, after: Position | None, timeout_s: float) -> bool:
        """Wait until the history has been read, and this gateway is where a client was at another one.

        Return whether the history has been read. A position that is never reached is one of another broker.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
                while after is not None and self.position.joined(after) != self.position:  # noqa: ASYNC110  rare, and an event set for each message would cost more
                    await asyncio.sleep(_CATCH_UP_INTERVAL_S)
        except TimeoutError:
            pass
        return self.is_ready

    def count_clients(self) -> int:
        """Return how many clients are connected."""
        return len(self._clients)

    def close_all(self, reason: str) -> None:
        """Ask all connections to end."""
        for client in self._clients:
            client.close(reason)

    @contextmanager
    def client(self, kind: Kind) -> Generator[Client]:
        """Register a client while its connection lasts."""
        client = Client(kind)
        self._clients.add(client)
        self.metrics.clients.labels(kind).inc()
        try:
            yield client
        finally:
            self._clients.discard(client)
            self.unsubscribe(client, set(client.topics))
            self.metrics.clients.labels(kind).dec()
            self.metrics.dropped.labels(kind).inc(client.queue.dropped_total)
            self.metrics.closed.labels(kind, client.close_reason or "client").inc()

    def start(self, client: Client, topics: Iterable[str], after: Position | None) -> None:
        """Subscribe a client for the first time, with everything that came after a position."""
        self.subscribe(client, topics)
        if after is None:
            client.queue.start(self.position)
            return
        begin = Position(self._resume("events", after.event), self._resume("samples", after.sample))
        lost: list[Missed] = []
        if begin.event != after.event:
            lost.append("events")
        if begin.sample != after.sample:
            lost.append("samples")
        newer = merge(
            self._events.after(begin.event),
            self._samples.after(begin.sample),
            key=lambda event: event.order,
        )
        wanted = client.topics
        client.queue.start(
            begin,
            [event for event in newer if not wanted.isdisjoint(event.topics)],
            [Gap(missed, after, begin) for missed in lost],
        )

    def _resume(self, stream: Missed, after: int) -> int:
        """Return the sequence after which a client continues: its own where the history reaches so far back.

        Who lost events reads everything again, so that old events would only be a burden.
        """
        history = self._history(stream)
        now = self.position.event if stream == "events" else self.position.sample
        if history.complete_after <= after <= now:
            return after
        return now if stream == "events" or after > now else history.complete_after

    def subscribe(self, client: Client, topics: Iterable[str]) -> None:
        """Add topics; their events come from now on."""
        for topic in topics:
            client.topics.add(topic)
            self._by_topic.setdefault(topic, set()).add(client)

    def unsubscribe(self, client: Client, topics: Iterable[str]) -> None:
        """Remove topics; what waits already is still sent."""
        for topic in topics:
            client.topics.discard(topic)
            if clients := self._by_topic.get(topic):
                clients.discard(client)
                if not clients:
                    del self._by_topic[topic]

    def idle_position(self, client: Client) -> Position | None:
        """Return the position of a client that has got everything; None while something waits.

        Clients are told it now and then: a quiet topic must not make their last id too old to come back with.
        """
        if not client.queue.is_empty:
            return None
        client.queue.position = client.queue.position.joined(self.position)
        return client.queue.position
