"""Questions and answers of `rpc.<service>.<noun>.<verb>` (core NATS request/reply)."""

from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from k1_contracts.base import Contract, JsonObject, UtcTime
from k1_contracts.commands import JobProgress
from k1_contracts.deployments import TrackDeployment
from k1_contracts.events import Version
from k1_contracts.graph import Violation
from k1_contracts.ids import ArtefactId, JobId, TrackId
from k1_contracts.tracks import (
    DEFAULT_PRIORITY,
    AnalysisSummary,
    ArtefactStatus,
    AudioRef,
    JobStatus,
    Notice,
    Preset,
    Priority,
    TrackStatus,
)

TrackSort = Literal["newest", "oldest", "f_measure", "duration"]
MapLayer = Literal["rhythm", "frequency", "dynamics", "spectral", "annotations"]
Limit = Annotated[int, Field(ge=1, le=200)]
Offset = Annotated[int, Field(ge=0, le=1_000_000)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,400}$")]
"""`next_cursor` of the page before, unchanged: base64url."""
SliceEdge = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
"""Milliseconds from the first sample; no song is a day long."""


class RpcError(Contract):
    """Why a question has no answer. `code` is stable and becomes the HTTP problem's code."""

    code: str
    message: str
    status: int = Field(ge=400, le=599)
    violations: list[Violation] | None = None
    """Of a graph that was refused: every rule that it breaks."""


T = TypeVar("T", bound=BaseModel)


class Answer(BaseModel, Generic[T]):
    """Exactly one of a result and an error."""

    model_config = ConfigDict(frozen=True)

    result: T | None = None
    error: RpcError | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.result is None) == (self.error is None):
            raise ValueError("an answer holds either a result or an error")
        return self


class ListTracks(Contract):
    status: TrackStatus | None = None
    preset: Preset | None = None
    search: Annotated[str, Field(max_length=200)] | None = None
    sort: TrackSort = "newest"
    limit: Limit = 50
    offset: Offset = 0
    cursor: Cursor | None = None
    """`next_cursor` of the page before; takes the place of `offset`."""


class TrackSummary(Contract):
    id: TrackId
    title: str
    artist: str | None = None
    duration_ms: float | None = None
    bpm: float | None = None
    f_measure: float | None = None
    status: TrackStatus
    preset: Preset | None = None
    tags: list[str]
    current_version: int | None = None
    created_at: UtcTime
    updated_at: UtcTime


class TrackPage(Contract):
    total: int
    items: list[TrackSummary]
    limit: int
    offset: int
    next_cursor: Cursor | None = None


class GetTrack(Contract):
    track_id: TrackId


class GetVersion(Contract):
    track_id: TrackId
    version: Version


class Artefact(Contract):
    id: ArtefactId | None = None
    """None while the artefact is missing."""
    type: str
    name: str
    status: ArtefactStatus
    size_bytes: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    created_at: UtcTime | None = None
    deleted_at: UtcTime | None = None
    url: str | None = None
    """A signed URL that works for an hour."""
    inline_json: JsonObject | None = None
    """The document itself, when it is JSON under 64 KiB."""


class ArtefactList(Contract):
    artefacts: list[Artefact]


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


class VersionSummary(Contract):
    version: Version
    status: TrackStatus
    created_at: UtcTime
    engine: str | None = None
    job_id: JobId
    summary: AnalysisSummary | None = None
    warnings: list[Notice] = Field(default_factory=list[Notice])
    artefacts: list[Artefact]


class Track(TrackSummary):
    notes: str | None = None
    filename: str
    audio: AudioRef


class TrackDetail(Contract):
    track: Track
    versions: list[VersionSummary]
    deployments: list[TrackDeployment] = Field(default_factory=list[TrackDeployment])
    """The newest twenty, newest first."""
    same_recording_as: list[TrackId] = Field(default_factory=list[TrackId])
    """Other tracks whose decoded audio is the same to the sample, whatever their tags and names: at most twenty,
    oldest first. Each is at `/api/v1/tracks/{track_id}`."""


class VersionDetail(VersionSummary):
    track_id: TrackId
    metadata: JsonObject | None = None
    metrics: JsonObject | None = None
    """`global_metrics` of the map; None until the analysis has ended."""


class GetGenesis(Contract):
    track_id: TrackId
    version: Version
    layers: list[MapLayer] | None = None
    from_ms: SliceEdge | None = None
    to_ms: SliceEdge | None = None
    max_points: int | None = Field(default=None, ge=2, le=100_000)
    etag: str | None = None
    """The caller's copy; the same content again is answered with `not_modified`."""


class ListJobs(Contract):
    status: JobStatus | None = None
    limit: Limit = 50


class JobPage(Contract):
    total: int
    items: list[JobView]


class GetJob(Contract):
    job_id: JobId


class RequestTrackAnalysis(Contract):
    track_id: TrackId
    preset: Preset | None = None
    priority: Priority = DEFAULT_PRIORITY
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
    workers: list[WorkerSlot]


class UploadAccepted(Contract):
    """Ingest's answer to an upload."""

    track_id: TrackId
    job_id: JobId
    status: Literal["queued", "existing"]
