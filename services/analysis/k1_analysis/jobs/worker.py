"""The worker of a pod: its slots take jobs, keep their messages from being redelivered, and publish the results."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry import propagate, trace
from pydantic import ValidationError

from k1_analysis.engine import ENGINE
from k1_analysis.errors import JobFailedError
from k1_analysis.jobs.cancellations import Cancellations
from k1_analysis.jobs.job_events import MAX_DELIVERIES, analysis_cancelled, analysis_failed, analysis_started
from k1_analysis.jobs.job_runner import JobRunner
from k1_analysis.jobs.metrics import JobMetrics
from k1_analysis.jobs.places import JobPlaces
from k1_analysis.jobs.progress import ProgressReporter
from k1_analysis.jobs.queue import JobQueue
from k1_contracts.descriptors import Publication
from k1_contracts.messages.analysis import (
    ANALYSIS_CANCELLED,
    ANALYSIS_COMPLETED,
    ANALYSIS_FAILED,
    ANALYSIS_STARTED,
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
)
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.dead_letters.message import Failure, publish_dead_letter
from k1_platform.nats.dead_letters.middleware import REDELIVERY_BACKOFF
from k1_platform.nats.streams.publisher import publish
from k1_platform.processes.tasks import cancel_tasks

_HEARTBEAT_S: Final = 3.0
"""Much shorter than the `ack_wait` of the lanes."""
_IDLE_STOP_TIMEOUT_S: Final = 1.0
"""An idle slot only waits for the broker, so it ends at once unless its cancellation was lost."""
_MAX_TRIES: Final = 12
"""Tries while a dependency fails, about ten minutes in all, before the job returns to the queue."""

_MEASURED_WAITS: Final = 50

Outcome = AnalysisCompleted | AnalysisFailed | AnalysisCancelled
_log = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)


@dataclass(slots=True)
class Slot:
    """The state of one slot, which runs one job at a time."""

    id: str
    since: datetime
    job_id: str | None = None


class Worker:
    """Runs the slots of a pod. Only an idle slot requests a job, so the worker never takes more than it can run."""

    def __init__(
        self,
        bus: Bus,
        queue: JobQueue,
        cancellations: Cancellations,
        runner: JobRunner,
        metrics: JobMetrics,
        *,
        pod: str,
        slots: int,
        stop_timeout_s: float,
    ) -> None:
        self._bus = bus
        self._queue = queue
        self._cancellations = cancellations
        self._places = JobPlaces(bus.jetstream)
        self._runner = runner
        self._metrics = metrics
        self._stop_timeout_s = stop_timeout_s
        self._stopping = False
        self._rng = random.Random()  # noqa: S311  jitter is no secret
        self.waits_s: deque[float] = deque(maxlen=_MEASURED_WAITS)
        """How long the latest jobs waited for a slot, without jobs that came back to the queue."""
        self.slots = [Slot(f"{pod}/{number}", datetime.now(UTC)) for number in range(slots)]

    async def run(self) -> None:
        """Run the slots until cancelled. Running jobs get `stop_timeout_s` to end; the rest return to the queue."""
        async with self._queue.subscribed(), self._cancellations.subscribed():
            tasks = {asyncio.create_task(self._serve(slot)): slot for slot in self.slots}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await self._drain(tasks)

    async def _drain(self, tasks: dict[asyncio.Task[None], Slot]) -> None:
        self._stopping = True
        await cancel_tasks(
            [task for task, slot in tasks.items() if slot.job_id is None], _IDLE_STOP_TIMEOUT_S
        )
        _, remaining = await asyncio.wait(tasks, timeout=self._stop_timeout_s)
        await cancel_tasks(remaining)

    async def _serve(self, slot: Slot) -> None:
        while not self._stopping:
            message = await self._queue.take()
            try:
                await self._handle(message, slot)
            except (NatsError, TransientError, OSError, TimeoutError) as error:
                # Not acknowledged: the job is redelivered, here or elsewhere, and reuses the artefacts that are stored.
                _log.warning("job returned to the queue", extra={"reason": repr(error)})
                with suppress(NatsError):
                    await message.nak(
                        delay=REDELIVERY_BACKOFF.pause_s(message.metadata.num_delivered, self._rng)
                    )
            finally:
                slot.job_id, slot.since = None, datetime.now(UTC)

    async def _handle(self, message: Msg, slot: Slot) -> None:
        try:
            job = AnalysisJob.model_validate_json(message.data)
        except ValidationError as error:
            await self._store_dead_letter(message, error)
            return
        if not await self._places.claim(job):
            await message.ack()  # the job was moved in the queue and has another message
            return
        slot.job_id, slot.since = job.job_id, datetime.now(UTC)
        if message.metadata.num_delivered == 1:
            self.waits_s.append(max(0.0, (slot.since - job.requested_at).total_seconds()))
            self._metrics.wait.observe(self.waits_s[-1])
        parent = propagate.extract(message.headers or {})
        with _tracer.start_as_current_span(
            "analyse", parent, attributes={"k1.job_id": job.job_id, "k1.track_id": job.track_id}
        ):
            await self._run_and_report(message, job, slot)

    async def _run_and_report(self, message: Msg, job: AnalysisJob, slot: Slot) -> None:
        async with self._heartbeats(message, job):
            try:
                outcome = await self._outcome(message, job, slot)
            except asyncio.CancelledError:
                await message.nak()
                raise
            await self._publish(_publication(outcome))
            self._metrics.count_end(outcome)
        await message.ack()

    async def _outcome(self, message: Msg, job: AnalysisJob, slot: Slot) -> Outcome:
        delivery = message.metadata.num_delivered
        if delivery > MAX_DELIVERIES:
            reason = f"The analysis ended its worker {MAX_DELIVERIES} times."
            return analysis_failed(
                job, code="crashed", message=reason, stage=None, attempts=delivery, at=datetime.now(UTC)
            )
        running = asyncio.create_task(self._run(job, slot, delivery))
        by_person = False

        def stop() -> None:
            nonlocal by_person
            by_person = True
            running.cancel()

        with self._cancellations.stopping(job.job_id, stop):
            if await self._cancellations.is_cancelled(job.job_id):
                stop()
            try:
                return await running
            except asyncio.CancelledError:
                if not by_person:
                    raise
                return analysis_cancelled(job, at=datetime.now(UTC))
            except JobFailedError as error:
                _log.info("job failed", extra={"job_id": job.job_id, "code": error.code})
                return analysis_failed(
                    job,
                    code=error.code,
                    message=str(error),
                    stage=error.stage,
                    attempts=error.attempts,
                    at=datetime.now(UTC),
                )

    async def _run(self, job: AnalysisJob, slot: Slot, delivery: int) -> AnalysisCompleted:
        event = analysis_started(
            job, worker_id=slot.id, engine=ENGINE, attempt=delivery, at=datetime.now(UTC)
        )
        await self._publish(Publication(ANALYSIS_STARTED, event), key=f"{job.job_id}/{delivery}")
        reporter = ProgressReporter(self._bus.client, self._bus.jetstream, job, slot.id)
        attempt = 0
        while True:
            attempt += 1
            try:
                with self._metrics.measuring_stages(reporter.report) as report:
                    return await self._runner.run(job, report)
            except TransientError as error:
                if attempt >= _MAX_TRIES:
                    raise
                _log.warning(
                    "dependency failed; trying again", extra={"job_id": job.job_id, "reason": str(error)}
                )
                await asyncio.sleep(REDELIVERY_BACKOFF.pause_s(attempt, self._rng))

    @asynccontextmanager
    async def _heartbeats(self, message: Msg, job: AnalysisJob) -> AsyncGenerator[None]:
        async def heartbeat() -> None:
            while True:
                await asyncio.sleep(_HEARTBEAT_S)
                with suppress(NatsError, OSError, TimeoutError):
                    await message.in_progress()
                    await self._cancellations.recheck(job.job_id)

        heartbeats = asyncio.create_task(heartbeat())
        try:
            yield
        finally:
            heartbeats.cancel()

    async def _publish(self, event: Publication[Any], key: str | None = None) -> None:
        await publish(self._bus.broker, event.message, event.body, source="analysis", key=key)

    async def _store_dead_letter(self, message: Msg, error: ValidationError) -> None:
        metadata = message.metadata
        await publish_dead_letter(
            self._bus.client,
            data=message.data,
            headers=message.headers or {},
            origin=(metadata.stream, metadata.consumer, metadata.sequence.stream, message.subject),
            failure=Failure("invalid_message", str(error), permanent=True, attempts_allowed=1),
            attempts=metadata.num_delivered,
        )
        await message.term()


def _publication(outcome: Outcome) -> Publication[Any]:
    match outcome:
        case AnalysisCompleted():
            return Publication(ANALYSIS_COMPLETED, outcome)
        case AnalysisFailed():
            return Publication(ANALYSIS_FAILED, outcome)
        case AnalysisCancelled():
            return Publication(ANALYSIS_CANCELLED, outcome)
