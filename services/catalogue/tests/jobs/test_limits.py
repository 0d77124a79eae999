"""Tests of the limit of unfinished jobs."""

import pytest

from k1_catalogue.edits.batch import TrackBatches
from k1_catalogue.jobs.event_handlers import JobEventHandlers
from k1_catalogue.jobs.queries import JobQueries
from k1_contracts.actors import Actor
from k1_contracts.messages.analysis import RequestTrackAnalysis, RetryJob
from k1_contracts.messages.catalogue.track_edits import BatchTracks
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from services.catalogue.tests.song_samples import message, upload

ANN, BEN = (
    Actor(kind="user", id=f"usr_01KABCDEFGHJKMNPQRSTVWXYZ{n}", name=name, role="editor")
    for n, name in enumerate(("Ann", "Ben"))
)


async def test_a_person_has_a_limited_number_of_unfinished_jobs(
    job_queries: JobQueries, job_events: JobEventHandlers, batches: TrackBatches
) -> None:
    """With three, also from uploads, the next analysis, retry or batch is refused until one ends; others are not."""
    with acting_as(ANN):
        songs = [await upload(job_events, number) for number in range(4)]
        await job_events.handle_failed(message(songs[3].failed()))
        request = RequestTrackAnalysis(track_id=songs[0].track_id)
        for refused in (
            job_queries.request_analysis(request),
            job_queries.retry_job(RetryJob(job_id=songs[3].job_id)),
        ):
            with pytest.raises(QueryError, match="You have 3 jobs") as caught:
                await refused
            assert (caught.value.code, caught.value.status) == ("too_many_jobs", 429)
        batch = await batches.run_batch(BatchTracks(track_ids=[songs[0].track_id], action="analyse"))
        assert [item.code for item in batch.items] == ["too_many_jobs"]
    with acting_as(BEN):
        await job_queries.request_analysis(request)
    for _ in range(4):
        await job_queries.request_analysis(request)  # a service
    with acting_as(ANN):
        await job_events.handle_cancelled(message(songs[1].cancelled()))
        await job_queries.request_analysis(request)
