"""Defines the commands, events and queries about analysis jobs and workers."""

from typing import Final

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Command, Event, LiveMessage, Query, QueuedCommand
from k1_contracts.ids import JobId, TrackId
from k1_contracts.rpc import Cursor, Limit
from k1_contracts.streams import ANALYSIS_WORK, EVENTS, LIVE
from k1_contracts.tracks import (
    DEFAULT_PRIORITY,
    AnalysisSummary,
    ArtefactRef,
    AudioRef,
    JobStatus,
    Notice,
    Preset,
    Priority,
    Version,
)


class AnalysisStarted(Contract):
    """A worker took the job."""

    job_id: JobId
    track_id: TrackId
    version: Version
    worker_id: str
    engine: str
    attempt: int = Field(ge=1)
    started_at: UtcTime


class AnalysisCompleted(Contract):
    """The artefacts of a version lie in the object store."""

    job_id: JobId
    track_id: TrackId
    version: Version
    engine: str
    artefacts: list[ArtefactRef]
    summary: AnalysisSummary
    warnings: list[Notice] = Field(default_factory=list[Notice])
    elapsed_ms: float = Field(ge=0)
    reused: bool = False
    """True when the same audio, engine and configuration had been analysed before."""
    completed_at: UtcTime
    cpu_s: float | None = Field(default=None, ge=0)
    """CPU seconds of the analysis and the show, without tries that failed."""
    inference_s: float | None = Field(default=None, ge=0)
    """The CPU seconds of the network in `cpu_s`."""
    bytes_stored: int | None = Field(default=None, ge=0)


class AnalysisFailed(Contract):
    """A job ended without a map."""

    job_id: JobId
    track_id: TrackId
    version: Version
    code: str
    message: str
    stage: str | None = None
    attempts: int = Field(ge=1)
    failed_at: UtcTime


class AnalysisCancelled(Contract):
    """A person cancelled the job, waiting or running."""

    job_id: JobId
    track_id: TrackId
    version: Version
    cancelled_at: UtcTime


class RequestAnalysis(Contract):
    """Analyse a track (again); the body of `analysis.requested`."""

    job_id: JobId
    track_id: TrackId
    version: Version
    audio: AudioRef
    filename: str
    preset: Preset | None = None
    priority: Priority = DEFAULT_PRIORITY
    requested_at: UtcTime


class AnalysisJob(RequestAnalysis):
    """A job in the queue of the analysis workers; the body of `work.analysis.p<priority>`."""

    move: int = Field(default=0, ge=0)
    """How often it was moved in the queue. Its messages of earlier moves are void."""


class BeatPreview(Contract):
    """The first beats, before the whole song is analysed."""

    analysed_ms: float = Field(ge=0)
    bpm: float = Field(ge=0)
    beat_grid_ms: list[float]


class JobProgress(Contract):
    """How far a job is; the body of `live.job.<job_id>` and the value of the progress bucket."""

    job_id: JobId
    track_id: TrackId
    stage: str
    percent: float = Field(ge=0, le=100)
    message: str | None = None
    worker_id: str | None = None
    preview: BeatPreview | None = None
    at: UtcTime


class JobCost(Contract):
    """What a job used and what that costs by the price list of the settings."""

    cpu_s: float = Field(ge=0)
    inference_s: float | None = Field(default=None, ge=0)
    """The CPU seconds of the network in `cpu_s`; None for a job from before this was measured."""
    bytes_stored: int = Field(ge=0)
    processing_usd: float = Field(ge=0)
    """Of all CPU time but inference."""
    inference_usd: float | None = Field(default=None, ge=0)
    """None: part of `processing_usd`."""
    storage_usd: float = Field(ge=0)
    total_usd: float = Field(ge=0)


class JobView(Contract):
    job_id: JobId
    track_id: TrackId
    version: Version
    status: JobStatus
    stage: str | None = None
    percent: float = Field(default=0, ge=0, le=100)
    priority: Priority
    queue_position: int | None = None
    """1 is next; None once it runs or has ended."""
    estimated_seconds_remaining: float | None = None
    """From the latest analyses' speed; None when there is nothing to estimate from."""
    warnings: list[Notice] = Field(default_factory=list[Notice])
    log_tail: list[str] = Field(default_factory=list[str])
    error: Notice | None = None
    elapsed_ms: float | None = None
    created_at: UtcTime
    started_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    progress: JobProgress | None = None
    cost: JobCost | None = None
    """Of a completed job whose use was measured."""


class ListJobs(Contract):
    status: JobStatus | None = None
    track_id: TrackId | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class JobPage(Contract):
    total: int
    items: list[JobView]
    next_cursor: Cursor | None = None


class GetJob(Contract):
    job_id: JobId


class RequestTrackAnalysis(Contract):
    track_id: TrackId
    preset: Preset | None = None
    priority: Priority = DEFAULT_PRIORITY
    idempotency_key: str | None = None


class RetryJob(Contract):
    """Repeat the order of a job that failed or was cancelled."""

    job_id: JobId
    idempotency_key: str | None = None


class AnalysisAccepted(Contract):
    job_id: JobId
    version: Version
    queue_position: int
    estimated_seconds: float | None = None


class ListWorkers(Contract):
    """All analysis workers; no arguments."""


class WorkerSlot(Contract):
    """One child process that analyses."""

    id: str
    host: str
    job_id: JobId | None = None
    since: UtcTime
    engine: str


class WorkerList(Contract):
    active: int
    total: int
    queue_depth: int
    average_wait_s: float | None = Field(default=None, ge=0)
    """Mean of the waits of the last 50 jobs of each pod, from the request to the start; None before the first."""
    workers: list[WorkerSlot]


def _job_id(message: AnalysisStarted | AnalysisCompleted | AnalysisFailed | AnalysisCancelled) -> str:
    return message.job_id


def _track_id(message: AnalysisStarted | AnalysisCompleted | AnalysisFailed | AnalysisCancelled) -> str:
    return message.track_id


ANALYSIS_REQUESTED: Final = Command(
    "analysis.requested",
    RequestAnalysis,
    summary="Analyse a track again",
    senders=("catalogue",),
    receivers=("analysis",),
    stream=EVENTS,
    subject_id=lambda command: command.job_id,
    time=lambda command: command.requested_at,
    role="editor",
)
ANALYSIS_QUEUED: Final = QueuedCommand(
    "work.analysis.p{priority}",
    AnalysisJob,
    summary="A job waits for a worker; one subject a priority",
    senders=("analysis",),
    receivers=("analysis",),
    stream=ANALYSIS_WORK,
)
ANALYSIS_STARTED: Final = Event(
    "analysis.started",
    AnalysisStarted,
    summary="A worker took the job",
    senders=("analysis",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=_track_id,
    time=lambda event: event.started_at,
    key=_job_id,
)
ANALYSIS_COMPLETED: Final = Event(
    "analysis.completed",
    AnalysisCompleted,
    summary="The artefacts of a version lie in the object store",
    senders=("analysis",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=_track_id,
    time=lambda event: event.completed_at,
    key=_job_id,
)
ANALYSIS_FAILED: Final = Event(
    "analysis.failed",
    AnalysisFailed,
    summary="A job ended without a map",
    senders=("analysis",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=_track_id,
    time=lambda event: event.failed_at,
    key=_job_id,
)
ANALYSIS_CANCELLED: Final = Event(
    "analysis.cancelled",
    AnalysisCancelled,
    summary="A person cancelled the job",
    senders=("analysis",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=_track_id,
    time=lambda event: event.cancelled_at,
    key=_job_id,
)
JOB_PROGRESSED: Final = LiveMessage(
    "live.job.{job_id}",
    JobProgress,
    summary="How far a job is",
    senders=("analysis",),
    receivers=("gateway",),
    stream=LIVE,
)
JOB_LIST: Final = Query("rpc.catalogue.job.list", ListJobs, JobPage, summary="The newest jobs")
JOB_GET: Final = Query("rpc.catalogue.job.get", GetJob, JobView, summary="One job")
JOB_CANCEL: Final = Query("rpc.catalogue.job.cancel", GetJob, JobView, summary="Cancel a job", role="editor")
ANALYSIS_REQUEST: Final = Query(
    "rpc.catalogue.analysis.request",
    RequestTrackAnalysis,
    AnalysisAccepted,
    summary="Ask for another analysis of a track",
    role="editor",
)
JOB_RETRY: Final = Query(
    "rpc.catalogue.job.retry",
    RetryJob,
    AnalysisAccepted,
    summary="Repeat the order of a job that failed or was cancelled",
    role="editor",
)
WORKER_LIST: Final = Query(
    "rpc.analysis.worker.list", ListWorkers, WorkerList, summary="The analysis workers"
)
