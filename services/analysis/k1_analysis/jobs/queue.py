"""The queue of waiting jobs: one durable (lane) for each priority, the highest read first.

A slot requests a job only when it is idle, so a waiting job stays available to every other worker. `take` sends
one request without waiting to each lane in turn. Between two rounds it sleeps until a new job is announced.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from opentelemetry import propagate

from k1_contracts import streams
from k1_contracts.durables import ANALYSIS_LANES, Durable
from k1_contracts.messages.analysis import ANALYSIS_QUEUED, AnalysisJob
from k1_platform.nats.jetstream_api import take_message
from k1_platform.processes.tasks import is_set_within

_POLL_INTERVAL_S: Final = 1.0
"""Redelivered and redriven jobs are not announced, so the lanes are polled too."""
_REQUEST_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class JobQueue:
    """Takes jobs one at a time; all slots of one worker share it.

    From when `draining` is set it takes none, so that a worker that stops leaves the waiting jobs to others.
    """

    client: Client
    jetstream: JetStreamContext
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    _announced: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _one_poller: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @asynccontextmanager
    async def subscribed(self) -> AsyncGenerator[None]:
        """Receive announcements of new jobs while this context lasts."""
        subscription = await self.client.subscribe(ANALYSIS_QUEUED.pattern, cb=self._on_announced)
        try:
            yield
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def _on_announced(self, _: Msg) -> None:
        self._announced.set()

    async def take(self) -> Msg:
        """Wait for a job and return its message."""
        async with self._one_poller:
            while True:
                self._announced.clear()
                message = None if self.draining.is_set() else await self._first()
                if message is None:
                    await is_set_within(self._announced, _POLL_INTERVAL_S)
                elif self.draining.is_set():  # since the request
                    await message.nak()
                else:
                    return message

    async def _first(self) -> Msg | None:
        """Return the message of the waiting job with the highest priority; None if no job waits."""
        for lane in ANALYSIS_LANES:
            if message := await self._next_of(lane):
                return message
        return None

    async def _next_of(self, lane: Durable) -> Msg | None:
        try:
            return await take_message(self.client, lane.stream, lane.name, timeout_s=_REQUEST_TIMEOUT_S)
        except (NatsError, TimeoutError, OSError):
            # The broker is away. The pause after this round is the pause before the next try.
            return None

    async def depth(self) -> int:
        """Return the number of waiting jobs."""
        lanes = [self.jetstream.consumer_info(lane.stream, lane.name) for lane in ANALYSIS_LANES]
        return sum((info.num_pending or 0) for info in await asyncio.gather(*lanes))


async def enqueue(jetstream: JetStreamContext, job: AnalysisJob) -> None:
    """Put a job on the lane of its priority, in the caller's trace; the same move of a job twice is stored once."""
    headers = {"Nats-Msg-Id": f"{job.job_id}/{job.move}" if job.move else job.job_id}
    propagate.inject(headers)
    await jetstream.publish(
        ANALYSIS_QUEUED.subject_for(job.priority),
        job.to_json(),
        stream=streams.ANALYSIS_WORK,
        headers=headers,
        timeout=5,
    )
