"""Publishes the progress of a job on `live.job.<id>`, and keeps the last state in a bucket for later queries."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from k1_contracts import streams
from k1_contracts.messages.analysis import JOB_PROGRESSED, AnalysisJob, BeatPreview, JobProgress

_STORE_INTERVAL_S: Final = 0.5
"""The bucket is durable, so it is written less often than the live subject."""


class ProgressReporter:
    """Reports the progress of one job. Progress may be lost: an unreachable broker never delays a job."""

    def __init__(self, client: Client, jetstream: JetStreamContext, job: AnalysisJob, worker_id: str) -> None:
        self._client = client
        self._jetstream = jetstream
        self._job = job
        self._worker_id = worker_id
        self._stored_at = 0.0
        self._stage = ""
        self._preview: BeatPreview | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def report(self, stage: str, percent: float, preview: BeatPreview | None = None) -> None:
        """Publish progress in the background."""
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
        store = stage != self._stage or preview is not None or now - self._stored_at > _STORE_INTERVAL_S
        if store:
            self._stored_at, self._stage = now, stage
        task = asyncio.create_task(self._send(progress.to_json(), store=store))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, body: bytes, *, store: bool) -> None:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await self._client.publish(JOB_PROGRESSED.subject_for(self._job.job_id), body)
            if store:
                bucket = await self._jetstream.key_value(streams.JOB_PROGRESS.name)
                await bucket.put(self._job.job_id, body)
