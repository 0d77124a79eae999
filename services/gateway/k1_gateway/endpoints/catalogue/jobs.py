"""Lists the endpoints of analysis jobs and workers."""

from typing import Final

from k1_contracts.messages.analysis import (
    ANALYSIS_REQUEST,
    JOB_CANCEL,
    JOB_GET,
    JOB_LIST,
    JOB_RETRY,
    WORKER_LIST,
)
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY
from k1_gateway.http.endpoint import Endpoint
from k1_gateway.http.problem_texts import (
    BODY_PROBLEMS,
    INVALID,
    NO_JOB,
    NO_TRACK,
    PAGED,
    TOO_MANY_JOBS,
    UNAVAILABLE,
)
from k1_gateway.http.relay import relay
from k1_gateway.live.change_stream import job_events
from k1_gateway.live.event_models import JobStreamEvent
from k1_gateway.live.sse import STREAM_END

JOBS: Final = (
    Endpoint(
        "POST", "/tracks/{track_id}/analysis", "requestAnalysis", "Analysis", "Analyse a track again",
        relay, query=ANALYSIS_REQUEST,
        body_fields=("preset", "priority"), repeats="owned",
        responses={202: ("Queued", ANALYSIS_REQUEST.response)},
        problems={
            **BODY_PROBLEMS, **NO_TRACK, 409: "`track_deleted`: restore it first; `track_uploading`: its song is on its way",
            422: "`invalid_parameter`, `invalid_body`, `idempotency_key_reused`", **TOO_MANY_JOBS,
        },
        rate_limit="analyses",
    ),
    Endpoint(
        "GET", "/analysis/jobs", "listJobs", "Analysis", "The newest jobs",
        relay, query=JOB_LIST, query_params=("status", "track_id", "limit", "cursor"),
        responses={200: ("Jobs", JOB_LIST.response)}, problems={**PAGED, **UNAVAILABLE},
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}", "getJob", "Analysis", "A job: status, stage, percent",
        relay, query=JOB_GET,
        responses={200: ("The job", JOB_GET.response)}, problems=NO_JOB,
    ),
    Endpoint(
        "DELETE", "/analysis/jobs/{job_id}", "cancelJob", "Analysis", "Cancel a job, waiting or running",
        relay, query=JOB_CANCEL,
        responses={200: ("The job as it is now", JOB_CANCEL.response)},
        problems={409: "`job_ended`: it is too late", **NO_JOB}, rate_limit="unlimited",
    ),
    Endpoint(
        "POST", "/analysis/jobs/{job_id}/retry", "retryJob", "Analysis",
        "Analyse again with the order of a job that failed or was cancelled",
        relay, query=JOB_RETRY, repeats="owned",
        responses={202: ("Queued: a new job and version", JOB_RETRY.response)},
        problems={**BODY_PROBLEMS, 409: "`job_not_retryable`: it waits, runs or has completed", **NO_JOB, **TOO_MANY_JOBS},
        rate_limit="analyses",
    ),
    Endpoint(
        "PATCH", "/analysis/jobs/{job_id}", "setJobPriority", "Analysis", "Move a waiting job in the queue",
        relay, query=JOB_SET_PRIORITY, body_fields=("priority",),
        responses={200: ("The job as it is now", JOB_SET_PRIORITY.response)},
        problems={
            **BODY_PROBLEMS, **NO_JOB, 422: "`invalid_parameter`, `invalid_body`",
            409: "`job_not_queued`: it runs or has ended; `track_deleted`: restore it first",
        },
    ),
    Endpoint(
        "GET", "/analysis/jobs/{job_id}/events", "watchJob", "Analysis",
        "A job's progress as server-sent events: `job` (JOB_GET.response) at both ends, `progress` (JobProgress) between; "
        "the last has the id `end`",
        job_events, query=JOB_GET,
        responses={200: ("The stream; it ends with the job", JobStreamEvent), **STREAM_END}, problems=NO_JOB,
        media_type="text/event-stream", takes_last_event_id=True, rate_limit="streams",
    ),
    Endpoint(
        "GET", "/analysis/workers", "listWorkers", "Analysis", "The analysis workers and the queue",
        relay, query=WORKER_LIST,
        responses={200: ("Workers", WORKER_LIST.response)}, problems={**INVALID, **UNAVAILABLE},
    ),
)  # fmt: skip
