"""The queue of waiting jobs: one durable a priority, the highest looked at first.

A worker asks for a job only when it can run it, so what it cannot run stays where any other
worker finds it. One request without waiting goes to each lane in turn; between the rounds
the queue sleeps until a new job is announced.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from opentelemetry import propagate

from k1_contracts import streams, subjects
from k1_contracts.messages.analysis import AnalysisJob
from k1_contracts.streams import Durable
from k1_platform.tasks import is_set_within

_LOOK_AGAIN_S: Final = 1.0
"""Redelivered and redriven jobs are announced by nobody."""
_REQUEST: Final = json.dumps({"batch": 1, "no_wait": True}).encode()
_REQUEST_TIMEOUT_S: Final = 2.0


class JobQueue:
    """Takes jobs one at a time; several slots of one worker share it."""

    def __init__(self, client: Client, jetstream: JetStreamContext) -> None:
        self._client = client
        self._jetstream = jetstream
        self._announced = asyncio.Event()
        self._one_looks = asyncio.Lock()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Hear of new jobs for as long as this context lasts."""
        subscription = await self._client.subscribe(subjects.ANALYSIS_JOBS_ANY, cb=self._hear)
        try:
            yield
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def _hear(self, _: Msg) -> None:
        self._announced.set()

    async def take(self) -> Msg:
        """The next job's message; waits until there is one."""
        async with self._one_looks:
            while True:
                self._announced.clear()
                for lane in streams.ANALYSIS_LANES:
                    message = await self._next_of(lane)
                    if message is not None:
                        return message
                await is_set_within(self._announced, _LOOK_AGAIN_S)

    async def _next_of(self, lane: Durable) -> Msg | None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{lane.stream}.{lane.name}"
        try:
            # A stream delivers under the message's own subject, which only an inbox of its own receives.
            message = await self._client.request(
                subject, _REQUEST, timeout=_REQUEST_TIMEOUT_S, old_style=True
            )
        except (NatsError, TimeoutError, OSError):
            # The broker is away; the round's pause is the pause before the next try.
            return None
        # An empty lane answers with a status instead of a message.
        is_job = (message.reply or "").startswith("$JS.ACK.")
        return message if is_job else None

    async def depth(self) -> int:
        """How many jobs wait."""
        lanes = [self._jetstream.consumer_info(lane.stream, lane.name) for lane in streams.ANALYSIS_LANES]
        return sum((info.num_pending or 0) for info in await asyncio.gather(*lanes))


async def put_job(jetstream: JetStreamContext, job: AnalysisJob) -> None:
    """Let a job wait for a worker, in the caller's trace; the same job put twice waits once."""
    headers = {"Nats-Msg-Id": job.job_id}
    propagate.inject(headers)
    await jetstream.publish(
        subjects.analysis_job(job.priority),
        job.to_json(),
        stream=streams.ANALYSIS_WORK,
        headers=headers,
        timeout=5,
    )
