"""Messages of a JetStream consumer as they come, in batches: a lean pull for many small ones.

FastStream's subscribers settle each message by itself; nats-py's `fetch` holds what has come until the batch
is full or its time is over. Here one request after another stays open at the broker, and whatever has arrived
is handed over at once.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from k1_platform.errors import TransientError
from k1_platform.processes.tasks import is_set_within

_PATIENCE_S: Final = 1.0
"""How much longer than a request is open its end may take to arrive."""
_NOTHING_MORE: Final = frozenset({"404", "408"})
_GONE: Final = "503"
_REFUSED: Final = "409"


class PullError(TransientError):
    """The consumer is not there, or the broker did not answer."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """What has arrived."""

    messages: list[Msg]
    complete_until_s: float | None
    """By `time.monotonic`: all that was stored before has been handed over, as a request sent then ended with
    nothing left to send. None: that is not known."""


class PullConsumer:
    """One process's requests to a consumer; use it as an async context manager."""

    def __init__(
        self, client: Client, stream: str, consumer: str, *, batch: int = 1000, open_s: float = 1.0
    ) -> None:
        """`open_s`: how long a request waits at the broker before it ends with nothing."""
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._body = json.dumps({"batch": batch, "expires": int(open_s * 1e9)}).encode()
        self._batch, self._open_s = batch, open_s
        self._inbox = client.new_inbox()
        self._subscription: Subscription | None = None
        self._arrived: list[Msg] = []
        self._news = asyncio.Event()
        self._number = 0
        self._outstanding = 0
        self._sent_s = 0.0
        self._left = 0

    async def __aenter__(self) -> Self:
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._take)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None and not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def next(self) -> PullResult:
        """Wait for what arrives next; `messages` may be empty.

        Raises:
            PullError: call again after a pause, or make the consumer anew.
        """
        if self._outstanding <= 0:
            await self._request()
        if not self._arrived:
            await self._wait()
        arrived, self._arrived = self._arrived, []
        self._news.clear()
        messages: list[Msg] = []
        complete_until_s = None
        for message in arrived:
            if not message.subject.startswith(self._inbox):
                messages.append(message)
                self._outstanding -= 1
                self._left = message.metadata.num_pending
            elif message.subject.endswith(f".{self._number}"):
                complete_until_s = self._end(message, given=bool(messages))
        return PullResult(messages, complete_until_s)

    async def _request(self) -> None:
        self._number += 1
        self._outstanding = self._batch
        self._sent_s = time.monotonic()
        await self._client.publish(self._subject, self._body, reply=f"{self._inbox}.{self._number}")

    async def _wait(self) -> None:
        patience = self._sent_s + self._open_s + _PATIENCE_S - time.monotonic()
        if not await is_set_within(self._news, max(patience, 0.01)):
            self._outstanding = 0
            raise PullError("the broker does not answer requests for messages")

    def _end(self, message: Msg, *, given: bool) -> float | None:
        """The request has ended: when it was sent, if that means that nothing was left."""
        self._outstanding = 0
        status = (message.headers or {}).get("Status", "")
        if status in _NOTHING_MORE:
            # With too many messages unacknowledged the broker holds back what there is and ends the same way.
            return self._sent_s if self._left == 0 else None
        if not given and status in {_GONE, _REFUSED}:
            raise PullError(f"the broker refuses messages: {message.headers}")
        return None

    async def _take(self, message: Msg) -> None:
        self._arrived.append(message)
        self._news.set()
