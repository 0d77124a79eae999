"""Facts, in the past tense. Each is the body of a CloudEvent whose type is the subject."""

from typing import Annotated

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.ids import JobId, TrackId
from k1_contracts.tracks import (
    DEFAULT_PRIORITY,
    AnalysisSummary,
    ArtefactRef,
    AudioRef,
    Notice,
    Preset,
    Priority,
    Tag,
    Title,
)

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Of a track; at most what a PostgreSQL integer holds."""


class TrackUploaded(Contract):
    """A song lies complete in the object store and was found to be decodable audio."""

    track_id: TrackId
    job_id: JobId
    version: Version = 1
    audio: AudioRef
    filename: str
    title: Title
    artist: str | None = None
    tags: list[Tag] = Field(default_factory=list[str])
    preset: Preset | None = None
    """None when the person chose none: then no tempo range is presumed."""
    priority: Priority = DEFAULT_PRIORITY
    uploaded_at: UtcTime


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
