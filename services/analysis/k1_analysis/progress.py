"""Tells the world how far a job is: at once on `live.job.<id>`, and in a bucket for who asks later."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from k1_contracts import streams, subjects
from k1_contracts.messages.analysis import AnalysisJob, BeatPreview, JobProgress

_KEEP_EVERY_S: Final = 0.5
"""The bucket is durable, so it is written less often than the live subject."""


class ProgressReporter:
    """Reports one job. Progress may be lost: a broker that is away never holds a job up."""

    def __init__(self, client: Client, jetstream: JetStreamContext, job: AnalysisJob, worker_id: str) -> None:
        self._client = client
        self._jetstream = jetstream
        self._job = job
        self._worker_id = worker_id
        self._kept_at = 0.0
        self._stage = ""
        self._preview: BeatPreview | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def report(self, stage: str, percent: float, preview: BeatPreview | None = None) -> None:
        """Send progress in the background."""
        self._preview = preview or self._preview
        progress = JobProgress(
            job_id=self._job.job_id,
            track_id=self._job.track_id,
            stage=stage,
            percent=round(percent, 1),
            worker_id=self._worker_id,
            preview=self._preview,
            at=datetime.now(UTC),
        )
        now = time.monotonic()
        keep = stage != self._stage or preview is not None or now - self._kept_at > _KEEP_EVERY_S
        if keep:
            self._kept_at, self._stage = now, stage
        task = asyncio.create_task(self._send(progress.to_json(), keep=keep))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, body: bytes, *, keep: bool) -> None:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await self._client.publish(subjects.live_job(self._job.job_id), body)
            if keep:
                bucket = await self._jetstream.key_value(streams.JOB_PROGRESS.name)
                await bucket.put(self._job.job_id, body)
