"""Which jobs a person cancelled.

The key-value bucket remembers. A put into it is also an ordinary message, so a plain
subscription hears of it at once, and unlike a watcher it outlives a restart of the broker;
what is missed while the broker is away is found by asking the bucket now and then.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from k1_contracts import streams

_PREFIX: Final = f"$KV.{streams.JOB_CANCELS.name}."


class Cancels:
    """Tells running jobs at once, and knows of a waiting job when it is taken."""

    def __init__(self, client: Client, jetstream: JetStreamContext) -> None:
        self._client = client
        self._jetstream = jetstream
        self._running: dict[str, Callable[[], object]] = {}

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Hear of cancellations for as long as this context lasts."""
        subscription = await self._client.subscribe(f"{_PREFIX}*", cb=self._hear)
        try:
            yield
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _hear(self, message: Msg) -> None:
        stop = self._running.get(message.subject.removeprefix(_PREFIX))
        if stop:
            stop()

    async def is_cancelled(self, job_id: str) -> bool:
        """Whether this job was cancelled; asks the bucket."""
        bucket = await self._jetstream.key_value(streams.JOB_CANCELS.name)
        try:
            await bucket.get(job_id)
        except NotFoundError:
            return False
        return True

    async def recheck(self, job_id: str) -> None:
        """Stop a running job whose cancellation was not heard."""
        stop = self._running.get(job_id)
        if stop and await self.is_cancelled(job_id):
            stop()

    @contextmanager
    def running(self, job_id: str, stop: Callable[[], object]) -> Generator[None]:
        """While this context lasts, a cancellation of the job calls `stop`."""
        self._running[job_id] = stop
        try:
            yield
        finally:
            del self._running[job_id]
