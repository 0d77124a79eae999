"""Jobs that are moved in the queue, with a real broker and worker."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from k1_analysis import handlers
from k1_analysis.handlers import intake_handlers
from k1_analysis.jobs.job_events import job_from_request
from k1_analysis.jobs.places import JobPlaces
from k1_analysis.jobs.queue import enqueue
from k1_contracts import streams
from k1_contracts.durables import ANALYSIS_INTAKE
from k1_contracts.messages.analysis import AnalysisCompleted, AnalysisJob
from k1_contracts.messages.catalogue.job_moves import ANALYSIS_MOVED, AnalysisMoved, JobPlace
from k1_platform.nats.streams.consumers import consume_table
from k1_platform.nats.streams.publisher import publish
from services.analysis.tests.jobs.conftest import WorkerHarness, working
from tests.support.waiting import eventually


def moved(job: AnalysisJob, priority: int, move: int = 1) -> AnalysisMoved:
    """Return the event of a move."""
    fields = job.model_dump() | {"priority": priority, "move": move, "moved_at": datetime.now(UTC)}
    return AnalysisMoved.model_validate(fields)


async def move(harness: WorkerHarness, events: Sequence[AnalysisMoved]) -> None:
    """Publish moves and wait until the intake has acknowledged them."""
    for event in events:
        await publish(harness.bus.broker, ANALYSIS_MOVED, event, source="catalogue")

    async def is_settled() -> bool:
        info = await harness.bus.jetstream.consumer_info(ANALYSIS_INTAKE.stream, ANALYSIS_INTAKE.name)
        return (info.num_pending or 0) + (info.num_ack_pending or 0) == 0

    await eventually(is_settled, "the moves are acknowledged")


async def start_intake(harness: WorkerHarness) -> None:
    consume_table(harness.bus.broker, ANALYSIS_INTAKE, intake_handlers(harness.bus.jetstream), workers=4)
    await harness.bus.broker.start()


async def test_a_moved_job_is_taken_earlier_or_later_and_runs_once(
    harness: WorkerHarness, unique: str
) -> None:
    """Of five waiting jobs, the last goes first after a move up, the first goes last after moves up and down.

    The events of the moves arrive twice and in any order, and count once.
    """
    jobs = [await harness.job(f"fine{n} {unique}") for n in range(5)]
    for job in jobs:
        await enqueue(harness.bus.jetstream, job)
    await start_intake(harness)
    await move(harness, [moved(jobs[4], 10), moved(jobs[0], 1, 2), moved(jobs[0], 9, 1), moved(jobs[4], 10)])
    async with working(harness):
        for job in jobs:
            assert isinstance(await harness.end_of(job), AnalysisCompleted)
        await eventually(lambda: _is_empty(harness), "the void messages are taken too")
    order = [event.job_id for event in harness.started]
    assert order == [jobs[n].job_id for n in (4, 1, 2, 3, 0)]
    assert len(harness.ends) == len(jobs)


async def _is_empty(harness: WorkerHarness) -> bool:
    return await harness.queue.depth() == 0


async def test_a_job_that_a_worker_has_taken_is_not_moved(harness: WorkerHarness, unique: str) -> None:
    """The claim comes first: no second message, so that no other worker runs the job too."""
    job = await harness.job(f"hang {unique}")
    await enqueue(harness.bus.jetstream, job)
    await start_intake(harness)
    async with working(harness) as running:
        await eventually(
            lambda: running.slots[0].job_id == job.job_id and bool(harness.started), "the job runs"
        )
        await move(harness, [moved(job, 10)])
        assert await harness.queue.depth() == 0
    await harness.objects.put_bytes(job.audio.key, b"fine", "audio/mpeg")
    async with working(harness):
        assert isinstance(await harness.end_of(job), AnalysisCompleted)  # the stopped worker returned it
    assert [event.attempt for event in harness.started] == [1, 2]


async def test_a_move_that_was_cut_off_between_its_two_steps_is_not_lost(
    harness: WorkerHarness, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died after the old message became void, before the new one was stored: the event comes again."""
    job = await harness.job(f"fine {unique}")
    await enqueue(harness.bus.jetstream, job)
    deaths = iter([True])

    async def die_once(jetstream, given: AnalysisJob) -> None:
        if next(deaths, False):
            raise OSError("the process was killed here")
        await enqueue(jetstream, given)

    monkeypatch.setattr(handlers, "enqueue", die_once)
    await start_intake(harness)
    await move(harness, [moved(job, 10)])
    async with working(harness):
        assert isinstance(await harness.end_of(job), AnalysisCompleted)
        await eventually(lambda: _is_empty(harness), "the void message is taken too")
    assert [event.job_id for event in harness.started] == [job.job_id]


async def test_of_claims_and_moves_at_the_same_time_one_wins(harness: WorkerHarness, unique: str) -> None:
    """In every order exactly one message of a job may run: that of the last move, or that which was claimed before."""
    places = JobPlaces(harness.bus.jetstream)
    bucket = await harness.bus.jetstream.key_value(streams.JOB_PLACES.name)
    for n in range(10):
        job = await harness.job(f"fine{n} {unique}")
        up = job_from_request(moved(job, 10))
        claimed, was_moved = await asyncio.gather(places.claim(job), places.move(up))
        assert claimed != was_moved
        assert await places.claim(up) == was_moved
        assert await places.claim(job) == claimed
        entry = await bucket.get(job.job_id)
        assert JobPlace.model_validate_json(entry.value or b"") == JobPlace(
            move=int(was_moved), is_taken=True
        )
