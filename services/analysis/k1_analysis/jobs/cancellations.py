"""Stops the jobs that a person cancelled.

A cancellation is a key in a bucket. A put into the bucket is also an ordinary message, so a plain subscription
receives it at once and, unlike a watcher, survives a restart of the broker. `recheck` reads the bucket, to find
cancellations that were missed while the broker was away.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_platform.nats.jetstream_api import ANY_KEY, key_of, key_subject


@dataclass(frozen=True)
class Cancellations:
    """Stops running jobs at once, and knows whether a waiting job was cancelled."""

    client: Client
    jetstream: JetStreamContext
    _stop_by_job: dict[str, Callable[[], object]] = field(
        default_factory=dict[str, Callable[[], object]], init=False
    )

    @asynccontextmanager
    async def subscribed(self) -> AsyncGenerator[None]:
        """Receive cancellations while this context lasts."""
        subscription = await self.client.subscribe(
            key_subject(streams.JOB_CANCELS.name, ANY_KEY), cb=self._on_cancelled
        )
        try:
            yield
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _on_cancelled(self, message: Msg) -> None:
        stop = self._stop_by_job.get(key_of(streams.JOB_CANCELS.name, message.subject))
        if stop:
            stop()

    async def is_cancelled(self, job_id: str) -> bool:
        """Return whether the bucket holds a cancellation of this job."""
        bucket = await self.jetstream.key_value(streams.JOB_CANCELS.name)
        try:
            await bucket.get(job_id)
        except NotFoundError:
            return False
        return True

    async def recheck(self, job_id: str) -> None:
        """Stop a running job whose cancellation message was missed."""
        stop = self._stop_by_job.get(job_id)
        if stop and await self.is_cancelled(job_id):
            stop()

    @contextmanager
    def stopping(self, job_id: str, stop: Callable[[], object]) -> Generator[None]:
        """Call `stop` if the job is cancelled while this context lasts."""
        self._stop_by_job[job_id] = stop
        try:
            yield
        finally:
            del self._stop_by_job[job_id]
