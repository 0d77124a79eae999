"""The worker with real worker processes, a real broker and a real object store; only the engine is scripted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from prometheus_client import CollectorRegistry

from k1_analysis.jobs import queue
from k1_analysis.jobs.cancellations import Cancellations
from k1_analysis.jobs.job_runner import JobRunner
from k1_analysis.jobs.metrics import JobMetrics
from k1_analysis.jobs.queue import JobQueue
from k1_analysis.jobs.worker import Worker
from k1_contracts import streams
from k1_contracts.durables import ANALYSIS_LANES
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import (
    ANALYSIS_CANCELLED,
    ANALYSIS_COMPLETED,
    ANALYSIS_FAILED,
    ANALYSIS_STARTED,
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
    AnalysisStarted,
)
from k1_contracts.tracks import AudioRef
from k1_platform.nats.administration.provision import consumer_config
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.streams import publisher as platform_publisher
from k1_platform.processes.tasks import cancel_tasks
from k1_platform.processes.worker_pool import WorkerPool
from k1_platform.processes.worker_process import WorkerLimits
from k1_platform.storage.objects import ObjectStore
from services.analysis.tests.jobs.scripted_tasks import run_scripted_task
from tests.support.bus import connected_bus
from tests.support.waiting import PATIENCE_S, eventually

ENDS = {
    ANALYSIS_COMPLETED.subject: AnalysisCompleted,
    ANALYSIS_FAILED.subject: AnalysisFailed,
    ANALYSIS_CANCELLED.subject: AnalysisCancelled,
}
End = AnalysisCompleted | AnalysisFailed | AnalysisCancelled
NEVER_S = 600.0
"""A time limit that no test reaches, not even where the machine stands still for a while."""


@dataclass
class WorkerHarness:
    """The bus, the store and the queue of a test, and the events of the worker."""

    bus: Bus
    objects: ObjectStore
    queue: JobQueue
    ends: list[End]
    started: list[AnalysisStarted]
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)

    def measured(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric of the worker."""
        return self.metrics.get_sample_value(name, labels)

    async def job(self, song: str, *, priority: int = 5) -> AnalysisJob:
        """Return a job whose song is in the store; equal texts are the same song."""
        key = f"audio/{sha256(song.encode()).hexdigest()}.mp3"
        await self.objects.put_bytes(key, song.encode(), "audio/mpeg")
        audio = AudioRef(
            key=key,
            sha256=sha256(song.encode()).hexdigest(),
            size_bytes=len(song),
            container="mp3",
            codec="mp3",
            sample_rate_hz=44100,
            channels=2,
        )
        return AnalysisJob(
            job_id=new_id("job"),
            track_id=new_id("trk"),
            version=1,
            audio=audio,
            filename="song.mp3",
            priority=priority,
            requested_at=datetime.now(UTC),
        )

    async def end_of(self, job: AnalysisJob) -> End:
        """Wait for the end of the job, and return its event."""
        return await eventually(
            lambda: next((end for end in self.ends if end.job_id == job.job_id), None),
            f"the end of the job {job.job_id}",
            interval_s=0.01,
        )


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker wait for a slow broker on a busy machine, instead of returning the job."""
    monkeypatch.setattr(queue, "_REQUEST_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(platform_publisher, "PUBLISH_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
async def bus(provisioned: object, patient: None) -> AsyncIterator[Bus]:
    """Empty streams, in which messages are redelivered only after a nak, and never after a time limit."""
    purged = (streams.EVENTS, streams.ANALYSIS_WORK, streams.DEAD_LETTERS, streams.WORKERS.stream)
    async with connected_bus(service="analysis") as connected:
        bus = replace(connected, jetstream=connected.client.jetstream(timeout=PATIENCE_S))
        for stream in purged:
            await bus.jetstream.purge_stream(stream)
        await set_ack_wait(bus, NEVER_S)
        yield bus
        await set_ack_wait(bus, None)


async def set_ack_wait(bus: Bus, seconds: float | None) -> None:
    """Set the `ack_wait` of the lanes; None for the provisioned value."""
    for lane in ANALYSIS_LANES:
        config = consumer_config(lane)
        config.ack_wait = seconds or config.ack_wait
        await bus.jetstream.add_consumer(lane.stream, config)


@pytest.fixture
async def harness(bus: Bus, objects: ObjectStore) -> WorkerHarness:
    """The harness without a worker."""
    harness = WorkerHarness(bus, objects, JobQueue(bus.client, bus.jetstream), [], [])

    async def receive(message) -> None:
        if message.subject == ANALYSIS_STARTED.subject:
            harness.started.append(AnalysisStarted.model_validate_json(message.data))
        elif message.subject in ENDS:
            harness.ends.append(ENDS[message.subject].model_validate_json(message.data))

    await bus.client.subscribe("analysis.*", cb=receive)
    return harness


@asynccontextmanager
async def working(
    harness: WorkerHarness, *, slots: int = 1, timeout_s: float = NEVER_S
) -> AsyncIterator[Worker]:
    """Run a worker while this context lasts."""
    limits = WorkerLimits(timeout_s=timeout_s, memory_bytes=1 << 30)
    pool = WorkerPool(
        run_scripted_task, size=slots, limits=limits, recycle_after=50, preload=["k1_analysis.jobs.tasks"]
    )
    pool.start()
    runner = JobRunner(harness.objects, pool, max_minutes=20)
    cancellations = Cancellations(harness.bus.client, harness.bus.jetstream)
    harness.metrics = CollectorRegistry()  # of the worker that began last
    worker = Worker(
        harness.bus,
        harness.queue,
        cancellations,
        runner,
        JobMetrics(harness.metrics),
        pod="pod-1",
        slots=slots,
        stop_timeout_s=0.2,
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await cancel_tasks([task])
        pool.close()
