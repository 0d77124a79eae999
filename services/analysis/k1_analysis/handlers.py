"""Messages in: what was uploaded or asked for becomes a waiting job."""

from nats.js import JetStreamContext

from k1_analysis.job import job_of_request, job_of_upload
from k1_analysis.job_queue import put_job
from k1_contracts import subjects
from k1_contracts.messages.analysis import RequestAnalysis
from k1_contracts.messages.tracks import TrackUploaded
from k1_platform.consuming import Event, Handler


def intake_table(jetstream: JetStreamContext) -> dict[str, Handler[TrackUploaded] | Handler[RequestAnalysis]]:
    """Subject -> handler of the durable `analysis-intake`."""

    async def on_track_uploaded(event: Event[TrackUploaded]) -> None:
        await put_job(jetstream, job_of_upload(event.body))

    async def on_analysis_requested(event: Event[RequestAnalysis]) -> None:
        await put_job(jetstream, job_of_request(event.body))

    return {
        subjects.TRACK_UPLOADED: Handler(TrackUploaded, on_track_uploaded),
        subjects.ANALYSIS_REQUESTED: Handler(RequestAnalysis, on_analysis_requested),
    }
