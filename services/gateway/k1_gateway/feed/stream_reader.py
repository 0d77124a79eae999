"""Reads one stream of the broker in order into the feed, from the newest part of its past on, for as long as it runs."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from k1_gateway.feed.client_queue import Missed
from k1_gateway.feed.feed import Feed
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.streams.pull_consumer import PullConsumer

_INACTIVE_THRESHOLD_S: Final = 30.0
_RETRY_PAUSE_S: Final = 0.5
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class StreamReader:
    """Passes every message of a stream to the feed once. After an interruption it continues where it stopped."""

    bus: Bus
    feed: Feed
    stream: str
    """The name of the stream at the broker."""
    holds: Missed
    past: int
    """How many of the newest messages are read at the start."""
    _after: int | None = None
    _loaded_at: int = 0
    """The last sequence when the reader started."""

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                await self._read(await self._add_consumer())
            except (TransientError, NatsError, TimeoutError, OSError) as error:
                _log.warning("feed interrupted", extra={"stream": self.stream, "reason": repr(error)})
                await asyncio.sleep(_RETRY_PAUSE_S)

    async def _add_consumer(self) -> str:
        """Create an ephemeral consumer that continues after the last read sequence; return its name."""
        state = (await self.bus.jetstream.stream_info(self.stream)).state
        if self._after is None:
            self._restart(max(state.first_seq - 1, state.last_seq - self.past))
            self._loaded_at = state.last_seq
        elif self._after > state.last_seq or self._after + 1 < state.first_seq:
            # What came next is too old, or the stream was made anew and counts from one again.
            self._restart(state.last_seq)
        self._check_loaded()
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=(self._after or 0) + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            inactive_threshold=_INACTIVE_THRESHOLD_S,
        )
        return (await self.bus.jetstream.add_consumer(self.stream, config)).name

    def _restart(self, after: int) -> None:
        self._after = max(after, 0)
        self.feed.restart(self.holds, self._after)

    def _check_loaded(self) -> None:
        if (self._after or 0) >= self._loaded_at:
            self.feed.set_loaded(self.holds)

    async def _read(self, consumer: str) -> None:
        # The broker removes the consumer when it has been inactive. The gateway may delete none: the stream has durables
        # of other services.
        async with PullConsumer(self.bus.client, self.stream, consumer) as puller:
            while True:
                messages = (await puller.next()).messages
                if messages:
                    self._after = messages[-1].metadata.sequence.stream
                    self.feed.add(self.holds, *messages)
                else:
                    self._loaded_at = 0  # the last ones may have been removed meanwhile
                self._check_loaded()
