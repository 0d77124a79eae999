"""The worker with real worker processes, a real broker and a real object store; only the engine is scripted."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from k1_analysis.handlers import intake_handlers
from k1_analysis.jobs import worker
from k1_analysis.jobs.job_runner import _ANALYSED_PERCENT as GRAPH_BEGINS_AT
from k1_analysis.jobs.queue import JobQueue, enqueue
from k1_analysis.jobs.worker_registry import WorkerRegistry
from k1_contracts import streams
from k1_contracts.durables import ANALYSIS_INTAKE, Durable
from k1_contracts.messages.analysis import (
    ANALYSIS_QUEUED,
    ANALYSIS_REQUESTED,
    JOB_PROGRESSED,
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
    JobProgress,
    ListWorkers,
    RequestAnalysis,
    WorkerList,
    WorkerSlot,
)
from k1_platform.nats.dead_letters.queue import list_dead_letters
from k1_platform.nats.streams.consumers import consume_table
from k1_platform.nats.streams.publisher import publish
from k1_platform.processes import worker_process
from k1_platform.processes.tasks import cancel_tasks
from services.analysis.tests.jobs.conftest import NEVER_S, WorkerHarness, working
from tests.support.waiting import PATIENCE_S, eventually


async def test_a_job_ends_completed_with_its_artefacts_in_the_store(
    harness: WorkerHarness, unique: str
) -> None:
    """Started, then completed; the artefacts of the event are in the store under their hashes; progress was published."""
    received: list[JobProgress] = []

    async def receive(message) -> None:
        received.append(JobProgress.model_validate_json(message.data))

    job = await harness.job(f"fine {unique}")
    await harness.bus.client.subscribe(JOB_PROGRESSED.subject_for(job.job_id), cb=receive)
    await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        end = await harness.end_of(job)
    assert isinstance(end, AnalysisCompleted)
    assert [artefact.type for artefact in end.artefacts] == ["genesis_map", "graph"]
    stored = await harness.objects.get_bytes(end.artefacts[0].key)
    assert sha256(stored).hexdigest() == end.artefacts[0].sha256
    assert end.warnings[0].code == "w"
    assert [event.job_id for event in harness.started] == [job.job_id]
    await eventually(
        lambda: {"fetch", "beats", "graph", "store"} <= {progress.stage for progress in received},
        "the progress of every stage",
    )
    bucket = await harness.bus.jetstream.key_value(streams.JOB_PROGRESS.name)
    kept = await bucket.watch(job.job_id)
    entry = await eventually(lambda: kept.updates(PATIENCE_S), "an entry of the bucket")
    await kept.stop()
    assert isinstance(entry, KeyValue.Entry)
    assert entry.value
    assert JobProgress.model_validate_json(entry.value).job_id == job.job_id


async def test_the_same_audio_is_analysed_once(harness: WorkerHarness, unique: str) -> None:
    """A second job for the same bytes and configuration reuses the artefacts of the first."""
    first, second = await harness.job(f"fine {unique}"), await harness.job(f"fine {unique}")
    async with working(harness):
        await enqueue(harness.bus.jetstream, first)
        end = await harness.end_of(first)
        await enqueue(harness.bus.jetstream, second)
        again = await harness.end_of(second)
    assert isinstance(end, AnalysisCompleted)
    assert isinstance(again, AnalysisCompleted)
    assert (end.reused, again.reused) == (False, True)
    stored = sum(artefact.size_bytes for artefact in end.artefacts)
    assert (end.cpu_s, end.inference_s, end.bytes_stored) == (2.0, 0.25, stored)
    assert (again.cpu_s, again.inference_s, again.bytes_stored) == (0.0, 0.0, 0)
    assert [a.key for a in end.artefacts] == [a.key for a in again.artefacts]
    assert end.artefacts[0].id != again.artefacts[0].id


async def test_jobs_are_measured_by_stage_and_outcome(harness: WorkerHarness, unique: str) -> None:
    """Each stage of a job is measured once; a failed job counts under the stage in which it failed."""
    fine, broken = await harness.job(f"fine {unique}"), await harness.job(f"undecodable {unique}")
    async with working(harness):
        for job in (fine, broken):
            await enqueue(harness.bus.jetstream, job)
            await harness.end_of(job)
        await eventually(
            lambda: harness.measured("k1_analysis_jobs_total", outcome="failed", stage="beats") == 1,
            "the failed job counts",
        )
    assert harness.measured("k1_analysis_jobs_total", outcome="completed", stage="done") == 1
    stages = {
        stage: harness.measured("k1_analysis_stage_seconds_count", stage=stage)
        for stage in ("fetch", "beats", "graph", "store")
    }
    assert stages == {"fetch": 2, "beats": 2, "graph": 1, "store": 1}
    assert harness.measured("k1_analysis_wait_seconds_count") == 2


async def test_an_analysis_that_lost_a_file_is_made_again_elsewhere(
    harness: WorkerHarness, unique: str
) -> None:
    """The files that are left stay as they are, because versions refer to them. A reuse makes the manifest young."""
    first, second, third = [await harness.job(f"fine {unique}") for _ in range(3)]
    async with working(harness):
        await enqueue(harness.bus.jetstream, first)
        end = await harness.end_of(first)
        assert isinstance(end, AnalysisCompleted)
        manifest = f"{end.artefacts[0].key.rpartition('/')[0]}/manifest.json"
        stored_at = (await harness.objects.stat(manifest)).stored_at
        await eventually(lambda: _is_later(stored_at), "a later second, which the store tells apart")
        await enqueue(harness.bus.jetstream, second)
        await harness.end_of(second)
        assert (await harness.objects.stat(manifest)).stored_at > stored_at
        await harness.objects.delete(end.artefacts[1].key)
        await enqueue(harness.bus.jetstream, third)
        again = await harness.end_of(third)
    assert isinstance(again, AnalysisCompleted)
    assert not again.reused
    assert {each.key for each in again.artefacts}.isdisjoint(each.key for each in end.artefacts)
    assert all([await harness.objects.exists(each.key) for each in again.artefacts])
    kept = await harness.objects.get_bytes(end.artefacts[0].key)
    assert sha256(kept).hexdigest() == end.artefacts[0].sha256


async def _is_later(stored_at: datetime) -> bool:
    return datetime.now(UTC) - stored_at > timedelta(seconds=1.1)


@pytest.mark.parametrize(
    ("song", "code", "attempts"),
    [("undecodable", "decode_failed", 1), ("bug", "crashed", 1), ("crash", "crashed", 2)],
)
async def test_a_bad_song_fails_with_its_code_and_the_worker_lives(
    harness: WorkerHarness, unique: str, song: str, code: str, attempts: int
) -> None:
    """Only failures that may be temporary are tried again; the next song is analysed."""
    bad, good = await harness.job(f"{song} {unique}"), await harness.job(f"fine {unique}")
    async with working(harness):
        await enqueue(harness.bus.jetstream, bad)
        await enqueue(harness.bus.jetstream, good)
        end = await harness.end_of(bad)
        assert isinstance(await harness.end_of(good), AnalysisCompleted)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, end.attempts, end.stage) == (code, attempts, "beats")


async def test_a_worker_process_that_crashes_once_costs_nothing(harness: WorkerHarness, unique: str) -> None:
    """The second try, in a new worker process, succeeds."""
    job = await harness.job(f"crash-once {unique}")
    await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        assert isinstance(await harness.end_of(job), AnalysisCompleted)
    (Path(tempfile.gettempdir()) / f"{job.audio.sha256}.tried").unlink()


class Clock:
    """Replaces `time` in the worker pool: it stands still until the test advances it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.mark.parametrize("song", ["showless", "show-crash", "show-hang"])
async def test_a_show_that_fails_costs_only_the_show(
    harness: WorkerHarness, unique: str, song: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map is stored with a warning that names the next step; the next analysis of the song tries again."""
    clock = Clock()
    monkeypatch.setattr(worker_process, "time", clock)

    async def receive(message) -> None:
        progress = JobProgress.model_validate_json(message.data)
        begun = progress.stage == "graph" and progress.percent > GRAPH_BEGINS_AT
        if song == "show-hang" and begun:  # by the show itself, so it hangs now
            clock.now_s += 2 * NEVER_S

    first, second = await harness.job(f"{song} {unique}"), await harness.job(f"{song} {unique}")
    for job in (first, second):
        await harness.bus.client.subscribe(JOB_PROGRESSED.subject_for(job.job_id), cb=receive)
    async with working(harness):
        await enqueue(harness.bus.jetstream, first)
        end = await harness.end_of(first)
        await enqueue(harness.bus.jetstream, second)
        again = await harness.end_of(second)
    assert isinstance(end, AnalysisCompleted)
    assert isinstance(again, AnalysisCompleted)
    for each in (end, again):
        assert [artefact.type for artefact in each.artefacts] == ["genesis_map"]
        assert [warning.code for warning in each.warnings] == ["w", "graph_failed"]
        assert "Analyse the song again" in each.warnings[1].message
        stored = await harness.objects.get_bytes(each.artefacts[0].key)
        assert sha256(stored).hexdigest() == each.artefacts[0].sha256
    assert (end.reused, again.reused) == (False, False)
    assert end.artefacts[0].key != again.artefacts[0].key


async def test_a_hang_ends_as_timed_out(harness: WorkerHarness, unique: str) -> None:
    """Two tries of the allowed time each."""
    job = await harness.job(f"hang {unique}")
    await enqueue(harness.bus.jetstream, job)
    async with working(harness, timeout_s=0.3):
        end = await harness.end_of(job)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, end.attempts) == ("timed_out", 2)


async def test_the_highest_priority_runs_first(harness: WorkerHarness, unique: str) -> None:
    """Of jobs that wait, 10 goes before 5 before 1, in each the oldest first."""
    jobs = [await harness.job(f"fine{n} {unique}", priority=p) for n, p in enumerate([1, 5, 10, 5])]
    for job in jobs:
        await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        for job in jobs:
            await harness.end_of(job)
    order = [event.job_id for event in harness.started]
    assert order == [jobs[i].job_id for i in (2, 1, 3, 0)]


async def test_a_worker_takes_only_what_it_can_run(harness: WorkerHarness, unique: str) -> None:
    """While both slots are busy the third job stays in the queue, and the list of workers shows it."""
    for n in range(3):
        await enqueue(harness.bus.jetstream, await harness.job(f"hang {n} {unique}"))
    async with working(harness, slots=2) as running:
        await eventually(lambda: all(slot.job_id for slot in running.slots), "both slots are busy")
        assert await harness.queue.depth() == 1
        assert len(running.waits_s) == 2
        running.waits_s.clear()
        running.waits_s.extend([2.0, 3.0])
        registry = WorkerRegistry(harness.bus.jetstream, harness.queue)
        registering = asyncio.create_task(registry.keep_registered(running, "pod-1"))

        async def list_both() -> WorkerList | None:
            listed = await registry.list_workers(ListWorkers())
            return listed if listed.total == 2 else None

        listed = await eventually(list_both, "both slots are listed")
        registering.cancel()
        await asyncio.gather(registering, return_exceptions=True)
    assert (listed.active, listed.total, listed.queue_depth) == (2, 2, 1)
    assert listed.average_wait_s == 2.5
    empty = await WorkerRegistry(harness.bus.jetstream, harness.queue).list_workers(ListWorkers())
    assert (empty.total, empty.average_wait_s) == (0, None)


async def test_pods_of_the_release_before_are_listed(harness: WorkerHarness) -> None:
    """Such a pod writes its slots alone, without waits."""
    async with working(harness, slots=1):
        slot = WorkerSlot(id="old/0", host="old", since=datetime.now(UTC), engine="k1-engine 1.0.0")
        bucket = await harness.bus.jetstream.key_value(streams.WORKERS.name)
        await bucket.put("old", f"[{slot.model_dump_json()}]".encode())
        listed = await WorkerRegistry(harness.bus.jetstream, harness.queue).list_workers(ListWorkers())
        await bucket.delete("old")
    assert ([each.id for each in listed.workers], listed.average_wait_s) == (["old/0"], None)


async def _cancel(harness: WorkerHarness, job: AnalysisJob) -> None:
    bucket = await harness.bus.jetstream.key_value(streams.JOB_CANCELS.name)
    await bucket.put(job.job_id, b"now")


async def test_a_running_job_is_cancelled_at_once(
    harness: WorkerHarness, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not at the next check: its worker process is killed, and the slot takes the next job."""
    monkeypatch.setattr(worker, "_HEARTBEAT_S", NEVER_S)
    job, following = await harness.job(f"hang {unique}"), await harness.job(f"fine {unique}")
    await enqueue(harness.bus.jetstream, job)
    async with working(harness) as running:
        await eventually(
            lambda: running.slots[0].job_id == job.job_id and bool(harness.started), "the job runs"
        )
        await _cancel(harness, job)
        assert isinstance(await harness.end_of(job), AnalysisCancelled)
        await enqueue(harness.bus.jetstream, following)
        assert isinstance(await harness.end_of(following), AnalysisCompleted)


async def test_a_waiting_job_is_cancelled_when_its_turn_comes(harness: WorkerHarness, unique: str) -> None:
    """It is never run."""
    job = await harness.job(f"hang {unique}")
    await _cancel(harness, job)
    await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        assert isinstance(await harness.end_of(job), AnalysisCancelled)


async def test_a_job_of_a_stopped_worker_runs_elsewhere_at_once(harness: WorkerHarness, unique: str) -> None:
    """A worker that ends returns its unfinished job instead of letting it time out."""
    job = await harness.job(f"hang {unique}")
    await enqueue(harness.bus.jetstream, job)
    async with working(harness) as running:
        await eventually(
            lambda: running.slots[0].job_id == job.job_id and bool(harness.started), "the job runs"
        )
    assert not harness.ends
    await harness.objects.put_bytes(job.audio.key, b"fine", "audio/mpeg")
    async with working(harness):
        assert isinstance(await harness.end_of(job), AnalysisCompleted)


async def test_a_draining_worker_leaves_waiting_jobs_to_others(harness: WorkerHarness, unique: str) -> None:
    """A service stops being ready some seconds before its work is cancelled, and takes no more jobs in that time."""
    staying = JobQueue(harness.bus.client, harness.bus.jetstream)
    async with harness.queue.subscribed(), staying.subscribed():
        leaving = asyncio.create_task(harness.queue.take())
        await eventually(harness.queue._one_poller.locked, "the worker waits for a job", interval_s=0.01)
        harness.queue.draining.set()
        job = await harness.job(f"fine {unique}")
        await enqueue(harness.bus.jetstream, job)
        async with asyncio.timeout(PATIENCE_S):
            message = await staying.take()
        assert AnalysisJob.model_validate_json(message.data).job_id == job.job_id
        assert not leaving.done()
        await message.ack()
        await cancel_tasks([leaving])


async def test_a_missing_song_fails_clearly(harness: WorkerHarness, unique: str) -> None:
    """The error names the next step."""
    job = await harness.job(f"fine {unique}")
    await harness.objects.delete(job.audio.key)
    await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        end = await harness.end_of(job)
    assert isinstance(end, AnalysisFailed)
    assert (end.code, "upload it again" in end.message) == ("audio_missing", True)


async def test_an_invalid_job_becomes_a_dead_letter(harness: WorkerHarness, unique: str) -> None:
    """A body that is not a job is stored as a dead letter with its reason, and the worker continues."""
    poison = f'{{"job_id": "{unique}"}}'.encode()
    await harness.bus.jetstream.publish(ANALYSIS_QUEUED.subject_for(5), poison)
    job = await harness.job(f"fine {unique}")
    await enqueue(harness.bus.jetstream, job)
    async with working(harness):
        await harness.end_of(job)
    letters = [each for each in await list_dead_letters(harness.bus.jetstream) if each.body == poison]
    assert [(letter.durable, letter.code) for letter in letters] == [("analysis-p5", "invalid_message")]


async def _unsettled(jetstream: JetStreamContext, durable: Durable) -> int:
    info = await jetstream.consumer_info(durable.stream, durable.name)
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def test_uploads_and_requests_become_waiting_jobs_once(
    harness: WorkerHarness, jetstream: JetStreamContext
) -> None:
    """Both intake subjects put a job on the lane of its priority; the same one delivered twice waits once."""
    request = RequestAnalysis.model_validate((await harness.job("fine x", priority=9)).model_dump())
    consume_table(harness.bus.broker, ANALYSIS_INTAKE, intake_handlers(jetstream), workers=2)
    await harness.bus.broker.start()
    for key in ("a", "b"):
        await publish(harness.bus.broker, ANALYSIS_REQUESTED, request, source="catalogue", key=key)

    async def is_settled() -> bool:
        return await _unsettled(jetstream, ANALYSIS_INTAKE) == 0

    await eventually(is_settled, "both events are acknowledged")
    assert await harness.queue.depth() == 1
    waiting = await jetstream.get_last_msg(streams.ANALYSIS_WORK, ANALYSIS_QUEUED.subject_for(9))
    assert waiting.data
    assert AnalysisJob.model_validate_json(waiting.data).job_id == request.job_id
