"""Pulls messages of a JetStream consumer in batches, for services that read many small messages.

A subscriber of FastStream acknowledges each message separately. `fetch` of nats-py returns only when the batch is full
or its time is over. This module keeps one request open at the broker and returns each message as soon as it arrives.
"""

import asyncio
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from k1_platform.errors import TransientError
from k1_platform.nats.jetstream_api import request_messages
from k1_platform.processes.tasks import is_set_within

_EXPIRY_TOLERANCE_S: Final = 1.0
"""How long after its expiry the end of a request may arrive."""
_EMPTY_STATUSES: Final = frozenset({"404", "408"})
_NO_RESPONDERS_STATUS: Final = "503"
_CONFLICT_STATUS: Final = "409"


class PullError(TransientError):
    """The consumer does not exist, or the broker did not respond."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """The messages that have arrived."""

    messages: list[Msg]
    complete_until_s: float | None
    """On the clock of `time.monotonic`: every message stored before this time has been returned, because a request
    sent then ended without further messages. None when this is not known."""


class PullConsumer:
    """Pulls messages of one consumer; use it as an async context manager."""

    def __init__(
        self, client: Client, stream: str, consumer: str, *, batch: int = 1000, open_s: float = 1.0
    ) -> None:
        """`open_s`: how long a request waits at the broker for messages before it ends."""
        self._client = client
        self._stream, self._consumer = stream, consumer
        self.batch, self._open_s = batch, open_s
        """How many messages the next request asks for; it may be changed."""
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._arrived: list[Msg] = []
        self._arrival = asyncio.Event()
        self._request_number = 0
        self._outstanding = 0
        self._sent_s = 0.0
        self._pending = 0

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def next(self) -> PullResult:
        """Wait for the next messages and return them; the list may be empty.

        Raises:
            PullError: call again after a pause, or create the consumer again.
        """
        if self._outstanding <= 0:
            await self._request()
        if not self._arrived:
            await self._wait()
        arrived, self._arrived = self._arrived, []
        self._arrival.clear()
        messages: list[Msg] = []
        complete_until_s = None
        for message in arrived:
            if not message.subject.startswith(self._inbox):
                messages.append(message)
                self._outstanding -= 1
            elif message.subject.endswith(f".{self._request_number}"):
                self._read_pending(messages)
                complete_until_s = self._end_request(message, has_messages=bool(messages))
        self._read_pending(messages)
        return PullResult(messages, complete_until_s)

    def _read_pending(self, messages: list[Msg]) -> None:
        """Remember how many messages the consumer had after the last of these; only that one's metadata is decoded."""
        if messages:
            self._pending = messages[-1].metadata.num_pending

    async def _request(self) -> None:
        self._request_number += 1
        self._outstanding = self.batch
        self._sent_s = time.monotonic()
        await request_messages(
            self._client,
            self._stream,
            self._consumer,
            batch=self.batch,
            expires_s=self._open_s,
            reply=f"{self._inbox}.{self._request_number}",
        )

    async def _wait(self) -> None:
        timeout_s = self._sent_s + self._open_s + _EXPIRY_TOLERANCE_S - time.monotonic()
        if not await is_set_within(self._arrival, max(timeout_s, 0.01)):
            self._outstanding = 0
            raise PullError("the broker does not respond to requests for messages")

    def _end_request(self, message: Msg, *, has_messages: bool) -> float | None:
        """End the request; return when it was sent if the consumer then had no further messages, else None."""
        self._outstanding = 0
        status = (message.headers or {}).get("Status", "")
        if status in _EMPTY_STATUSES:
            # The status is the same when the broker holds messages back because too many are unacknowledged.
            return self._sent_s if self._pending == 0 else None
        if not has_messages and status in {_NO_RESPONDERS_STATUS, _CONFLICT_STATUS}:
            raise PullError(f"the broker refuses requests for messages: {message.headers}")
        return None

    async def _receive(self, message: Msg) -> None:
        self._arrived.append(message)
        self._arrival.set()
