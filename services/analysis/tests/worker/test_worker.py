"""The worker with real children, a real broker and a real object store; only the engine is instructed."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_analysis.handlers import intake_handlers
from k1_analysis.jobs import queue, worker
from k1_analysis.jobs.cancellations import Cancellations
from k1_analysis.jobs.job_runner import _ANALYSED_PERCENT as GRAPH_BEGINS_AT
from k1_analysis.jobs.job_runner import JobRunner
from k1_analysis.jobs.queue import JobQueue, enqueue
from k1_analysis.jobs.worker import Worker
from k1_analysis.jobs.worker_registry import WorkerRegistry
from k1_contracts import streams, subjects
from k1_contracts.commands import AnalysisJob, JobProgress, RequestAnalysis
from k1_contracts.events import AnalysisCancelled, AnalysisCompleted, AnalysisFailed, AnalysisStarted
from k1_contracts.ids import new_id
from k1_contracts.queries import ListWorkers
from k1_contracts.tracks import AudioRef
from k1_platform import broker, children
from k1_platform.broker import Bus, connect, make_broker, make_event, publish_event
from k1_platform.children import ChildPool, Limits
from k1_platform.consuming import consume_table
from k1_platform.dead_letter_queue import list_dead_letters
from k1_platform.objects import ObjectStore
from k1_platform.provision import consumer_config
from k1_platform.settings import NatsSettings

sys.path.insert(0, str(Path(__file__).parent))
from instructed import instructed

ENDS = {
    subjects.ANALYSIS_COMPLETED: AnalysisCompleted,
    subjects.ANALYSIS_FAILED: AnalysisFailed,
    subjects.ANALYSIS_CANCELLED: AnalysisCancelled,
}
End = AnalysisCompleted | AnalysisFailed | AnalysisCancelled
PATIENCE_S = 120.0
"""For what takes a moment, however busy the machine."""
NEVER_S = 600.0
"""A time limit that no test reaches, not even where the machine stands still for a while."""


@dataclass
class Bench:
    """A running worker and what a test needs around it."""

    bus: Bus
    objects: ObjectStore
    queue: JobQueue
    ends: list[End]
    started: list[AnalysisStarted]

    async def job(self, song: str, *, priority: int = 5) -> AnalysisJob:
        """A job whose song lies in the store; the same words are the same song."""
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
        """How the job ended."""
        await until(lambda: any(end.job_id == job.job_id for end in self.ends))
        return next(end for end in self.ends if end.job_id == job.job_id)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for a broker that a busy machine holds up, instead of giving the job back."""
    monkeypatch.setattr(queue, "_REQUEST_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(broker, "PUBLISH_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
async def bus(provisioned: object, patient: None) -> AsyncIterator[Bus]:
    """Empty streams; what was delivered comes again only when it is handed back, never for being late."""
    connecting = make_broker(
        NatsSettings(), service="analysis", registry=CollectorRegistry(), tracer_provider=TracerProvider()
    )
    connected = await connect(connecting)
    bus = replace(connected, jetstream=connected.client.jetstream(timeout=PATIENCE_S))
    for stream in (streams.EVENTS, streams.ANALYSIS_WORK, streams.DEAD_LETTERS, f"KV_{streams.WORKERS.name}"):
        await bus.jetstream.purge_stream(stream)
    await allow_for_an_answer(bus, NEVER_S)
    yield bus
    await allow_for_an_answer(bus, None)
    await connecting.stop()


async def allow_for_an_answer(bus: Bus, seconds: float | None) -> None:
    """How long a worker may say nothing of a job before another gets it; None: as provisioned."""
    for lane in streams.ANALYSIS_LANES:
        config = consumer_config(lane)
        config.ack_wait = seconds or config.ack_wait
        await bus.jetstream.add_consumer(lane.stream, config)


@pytest.fixture
async def bench(bus: Bus, objects: ObjectStore) -> Bench:
    """The bench without a worker."""
    bench = Bench(bus, objects, JobQueue(bus.client, bus.jetstream), [], [])

    async def hear(message) -> None:
        if message.subject == subjects.ANALYSIS_STARTED:
            bench.started.append(AnalysisStarted.model_validate_json(message.data))
        elif message.subject in ENDS:
            bench.ends.append(ENDS[message.subject].model_validate_json(message.data))

    await bus.client.subscribe("analysis.*", cb=hear)
    return bench


@asynccontextmanager
async def working(bench: Bench, *, slots: int = 1, timeout_s: float = NEVER_S) -> AsyncIterator[Worker]:
    """A worker takes jobs for as long as this lasts."""
    limits = Limits(timeout_s=timeout_s, memory_bytes=1 << 30)
    pool = ChildPool(
        instructed, size=slots, limits=limits, recycle_after=50, preload=["k1_analysis.jobs.tasks"]
    )
    pool.start()
    runner = JobRunner(bench.objects, pool, max_minutes=20)
    cancellations = Cancellations(bench.bus.client, bench.bus.jetstream)
    worker = Worker(
        bench.bus, bench.queue, cancellations, runner, pod="pod-1", slots=slots, stop_timeout_s=0.2
    )
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        pool.close()


async def test_a_job_ends_completed_with_its_artefacts_in_the_store(bench: Bench, unique: str) -> None:
    """Started, then completed; what the event names lies in the store under its hash; progress was told."""
    heard: list[JobProgress] = []

    async def hear(message) -> None:
        heard.append(JobProgress.model_validate_json(message.data))

    job = await bench.job(f"fine {unique}")
    await bench.bus.client.subscribe(subjects.live_job(job.job_id), cb=hear)
    await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        end = await bench.end_of(job)
    assert isinstance(end, AnalysisCompleted)
    assert [artefact.type for artefact in end.artefacts] == ["genesis_map", "graph"]
    stored = await bench.objects.get_bytes(end.artefacts[0].key)
    assert sha256(stored).hexdigest() == end.artefacts[0].sha256
    assert end.warnings[0].code == "w"
    assert [event.job_id for event in bench.started] == [job.job_id]
    await until(lambda: {"fetch", "beats", "graph", "store"} <= {progress.stage for progress in heard})
    bucket = await bench.bus.jetstream.key_value(streams.JOB_PROGRESS.name)
    kept = await bucket.watch(job.job_id)
    async with asyncio.timeout(PATIENCE_S):
        while (entry := await kept.updates(PATIENCE_S)) is None:  # so far none
            pass
    await kept.stop()
    assert JobProgress.model_validate_json(entry.value).job_id == job.job_id


async def test_the_same_audio_is_analysed_once(bench: Bench, unique: str) -> None:
    """A second job for the same bytes and configuration is answered from the first one's artefacts."""
    first, second = await bench.job(f"fine {unique}"), await bench.job(f"fine {unique}")
    async with working(bench):
        await enqueue(bench.bus.jetstream, first)
        end = await bench.end_of(first)
        await enqueue(bench.bus.jetstream, second)
        again = await bench.end_of(second)
    assert isinstance(end, AnalysisCompleted)
    assert isinstance(again, AnalysisCompleted)
    assert (end.reused, again.reused) == (False, True)
    assert [a.key for a in end.artefacts] == [a.key for a in again.artefacts]
    assert end.artefacts[0].id != again.artefacts[0].id


@pytest.mark.parametrize(
    ("song", "code", "attempts"),
    [("undecodable", "decode_failed", 1), ("bug", "crashed", 1), ("crash", "crashed", 2)],
)
async def test_a_bad_song_fails_with_its_code_and_the_worker_lives(
    bench: Bench, unique: str, song: str, code: str, attempts: int
) -> None:
    """Only what may be an accident is tried again; the next song is analysed."""
    bad, good = await bench.job(f"{song} {unique}"), await bench.job(f"fine {unique}")
    async with working(bench):
        await enqueue(bench.bus.jetstream, bad)
        await enqueue(bench.bus.jetstream, good)
        end = await bench.end_of(bad)
        assert isinstance(await bench.end_of(good), AnalysisCompleted)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, end.attempts, end.stage) == (code, attempts, "beats")


async def test_a_child_that_crashes_once_costs_nothing(bench: Bench, unique: str) -> None:
    """The second try, in a fresh child, succeeds."""
    job = await bench.job(f"crash-once {unique}")
    await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        assert isinstance(await bench.end_of(job), AnalysisCompleted)
    (Path(tempfile.gettempdir()) / f"{job.audio.sha256}.tried").unlink()


class Clock:
    """Stands in for `time` where children are limited: it stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.mark.parametrize("song", ["showless", "show-crash", "show-hang"])
async def test_a_show_that_fails_costs_only_the_show(
    bench: Bench, unique: str, song: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map is there with a warning that says what to do; the next analysis of the song tries again."""
    clock = Clock()
    monkeypatch.setattr(children, "time", clock)

    async def hear(message) -> None:
        progress = JobProgress.model_validate_json(message.data)
        begun = progress.stage == "graph" and progress.percent > GRAPH_BEGINS_AT
        if song == "show-hang" and begun:  # by the show itself, so it hangs now
            clock.now_s += 2 * NEVER_S

    first, second = await bench.job(f"{song} {unique}"), await bench.job(f"{song} {unique}")
    for job in (first, second):
        await bench.bus.client.subscribe(subjects.live_job(job.job_id), cb=hear)
    async with working(bench):
        await enqueue(bench.bus.jetstream, first)
        end = await bench.end_of(first)
        await enqueue(bench.bus.jetstream, second)
        again = await bench.end_of(second)
    assert isinstance(end, AnalysisCompleted)
    assert isinstance(again, AnalysisCompleted)
    for each in (end, again):
        assert [artefact.type for artefact in each.artefacts] == ["genesis_map"]
        assert [warning.code for warning in each.warnings] == ["w", "graph_failed"]
        assert "Analyse the song again" in each.warnings[1].message
        stored = await bench.objects.get_bytes(each.artefacts[0].key)
        assert sha256(stored).hexdigest() == each.artefacts[0].sha256
    assert (end.reused, again.reused) == (False, False)
    assert end.artefacts[0].key != again.artefacts[0].key


async def test_a_hang_ends_as_timed_out(bench: Bench, unique: str) -> None:
    """Two tries of the allowed time each."""
    job = await bench.job(f"hang {unique}")
    await enqueue(bench.bus.jetstream, job)
    async with working(bench, timeout_s=0.3):
        end = await bench.end_of(job)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, end.attempts) == ("timed_out", 2)


async def test_the_highest_priority_runs_first(bench: Bench, unique: str) -> None:
    """Of jobs that wait, 10 goes before 5 before 1, in each the oldest first."""
    jobs = [await bench.job(f"fine{n} {unique}", priority=p) for n, p in enumerate([1, 5, 10, 5])]
    for job in jobs:
        await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        for job in jobs:
            await bench.end_of(job)
    order = [event.job_id for event in bench.started]
    assert order == [jobs[i].job_id for i in (2, 1, 3, 0)]


async def test_a_worker_takes_only_what_it_can_run(bench: Bench, unique: str) -> None:
    """While both slots are busy the third job stays in the queue, and whoever asks is told so."""
    for n in range(3):
        await enqueue(bench.bus.jetstream, await bench.job(f"hang {n} {unique}"))
    async with working(bench, slots=2) as running:
        await until(lambda: all(slot.job_id for slot in running.slots))
        assert await bench.queue.depth() == 1
        registry = WorkerRegistry(bench.bus.jetstream, bench.queue, running, "pod-1")
        registering = asyncio.create_task(registry.keep_registered())
        async with asyncio.timeout(PATIENCE_S):
            while (listed := await registry.list_workers(ListWorkers())).total != 2:
                await asyncio.sleep(0.02)
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
    assert (listed.active, listed.total, listed.queue_depth) == (2, 2, 1)
    assert (
        await WorkerRegistry(bench.bus.jetstream, bench.queue, running, "x").list(ListWorkers())
    ).total == 0


async def _cancel(bench: Bench, job: AnalysisJob) -> None:
    bucket = await bench.bus.jetstream.key_value(streams.JOB_CANCELS.name)
    await bucket.put(job.job_id, b"now")


async def test_a_running_job_is_cancelled_at_once(
    bench: Bench, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is said, not when it is next asked for: its child is killed, and the slot takes the next job."""
    monkeypatch.setattr(worker, "_HEARTBEAT_S", NEVER_S)
    job, following = await bench.job(f"hang {unique}"), await bench.job(f"fine {unique}")
    await enqueue(bench.bus.jetstream, job)
    async with working(bench) as running:
        await until(lambda: running.slots[0].job_id == job.job_id and bool(bench.started))
        await _cancel(bench, job)
        assert isinstance(await bench.end_of(job), AnalysisCancelled)
        await enqueue(bench.bus.jetstream, following)
        assert isinstance(await bench.end_of(following), AnalysisCompleted)


async def test_a_waiting_job_is_cancelled_when_its_turn_comes(bench: Bench, unique: str) -> None:
    """It is never run."""
    job = await bench.job(f"hang {unique}")
    await _cancel(bench, job)
    await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        assert isinstance(await bench.end_of(job), AnalysisCancelled)


async def test_a_job_of_a_stopped_worker_runs_elsewhere_at_once(bench: Bench, unique: str) -> None:
    """A worker that ends hands its unfinished job back instead of letting it time out."""
    job = await bench.job(f"hang {unique}")
    await enqueue(bench.bus.jetstream, job)
    async with working(bench) as running:
        await until(lambda: running.slots[0].job_id == job.job_id and bool(bench.started))
    assert not bench.ends
    await bench.objects.put_bytes(job.audio.key, b"fine", "audio/mpeg")
    async with working(bench):
        assert isinstance(await bench.end_of(job), AnalysisCompleted)


async def test_a_song_that_is_gone_fails_clearly(bench: Bench, unique: str) -> None:
    """The error says what to do."""
    job = await bench.job(f"fine {unique}")
    await bench.objects.delete(job.audio.key)
    await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        end = await bench.end_of(job)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, "upload it again" in end.message) == ("audio_missing", True)


async def test_a_poison_job_is_buried_and_the_worker_goes_on(bench: Bench, unique: str) -> None:
    """A body that is no job lands on the dead-letter stream with its reason."""
    poison = f'{{"job_id": "{unique}"}}'.encode()
    await bench.bus.jetstream.publish(subjects.analysis_job(5), poison)
    job = await bench.job(f"fine {unique}")
    await enqueue(bench.bus.jetstream, job)
    async with working(bench):
        await bench.end_of(job)
    letters = [each for each in await list_dead_letters(bench.bus.jetstream) if each.body == poison]
    assert [(letter.durable, letter.code) for letter in letters] == [("analysis-p5", "invalid_message")]


async def _unsettled(jetstream: JetStreamContext, durable: streams.Durable) -> int:
    info = await jetstream.consumer_info(durable.stream, durable.name)
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def test_uploads_and_requests_become_waiting_jobs_once(
    bench: Bench, jetstream: JetStreamContext
) -> None:
    """Both intake subjects put a job on the lane of its priority; the same one delivered twice waits once."""
    request = RequestAnalysis.model_validate((await bench.job("fine x", priority=9)).model_dump())
    consume_table(bench.bus.broker, streams.ANALYSIS_INTAKE, intake_handlers(jetstream), workers=2)
    await bench.bus.broker.start()
    envelope, body = make_event(
        subjects.ANALYSIS_REQUESTED, request, source="catalogue", about=request.track_id
    )
    for event_id in ("evt_a", "evt_b"):
        again = envelope.model_copy(update={"id": event_id})
        await publish_event(bench.bus.broker, subjects.ANALYSIS_REQUESTED, again, body, stream=streams.EVENTS)
    async with asyncio.timeout(PATIENCE_S):
        while await _unsettled(jetstream, streams.ANALYSIS_INTAKE):
            await asyncio.sleep(0.01)
    assert await bench.queue.depth() == 1
    waiting = await jetstream.get_last_msg(streams.ANALYSIS_WORK, subjects.analysis_job(9))
    assert AnalysisJob.model_validate_json(waiting.data).job_id == request.job_id
