"""Creates analysis jobs from messages, and the events that report a job. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_analysis.artefacts import AnalysisArtefacts
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
    AnalysisStarted,
    RequestAnalysis,
)
from k1_contracts.messages.catalogue.tracks import TrackUploaded
from k1_contracts.tracks import ArtefactRef

MAX_ATTEMPTS: Final = 2
"""Tries in one delivery: after its worker process failed, a job runs once more in a new one."""
MAX_DELIVERIES: Final = 8
"""A job that ended the whole pod this often is given up."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the successful tries of a job used; nothing if it reused an earlier analysis."""

    cpu_s: float
    inference_s: float
    """The part of `cpu_s` that the network used."""
    bytes_stored: int


def job_from_upload(event: TrackUploaded) -> AnalysisJob:
    """Return the job of a track's first analysis."""
    return AnalysisJob(
        job_id=event.job_id,
        track_id=event.track_id,
        version=event.version,
        audio=event.audio,
        filename=event.filename,
        preset=event.preset,
        priority=event.priority,
        requested_at=event.uploaded_at,
    )


def job_from_request(command: RequestAnalysis) -> AnalysisJob:
    """Return the job of a later, requested analysis, or of a job that was moved in the queue."""
    return AnalysisJob.model_validate(command.model_dump())


def analysis_started(
    job: AnalysisJob, *, worker_id: str, engine: str, attempt: int, at: datetime
) -> AnalysisStarted:
    """Return the event that a worker has taken the job."""
    return AnalysisStarted(
        job_id=job.job_id,
        track_id=job.track_id,
        version=job.version,
        worker_id=worker_id,
        engine=engine,
        attempt=attempt,
        started_at=at,
    )


def analysis_completed(
    job: AnalysisJob,
    made: AnalysisArtefacts,
    *,
    prefix: str,
    engine: str,
    elapsed_ms: float,
    reused: bool,
    usage: Usage,
    at: datetime,
) -> AnalysisCompleted:
    """Return the event that the artefacts of a version are in the object store."""
    artefacts = [ArtefactRef.of(file.stored(prefix), job.track_id, job.version) for file in made.files]
    return AnalysisCompleted(
        job_id=job.job_id,
        track_id=job.track_id,
        version=job.version,
        engine=engine,
        artefacts=artefacts,
        summary=made.summary,
        warnings=list(made.warnings),
        elapsed_ms=elapsed_ms,
        reused=reused,
        cpu_s=usage.cpu_s,
        inference_s=usage.inference_s,
        bytes_stored=usage.bytes_stored,
        completed_at=at,
    )


def analysis_failed(
    job: AnalysisJob, *, code: str, message: str, stage: str | None, attempts: int, at: datetime
) -> AnalysisFailed:
    """Return the event that a job ended without a map."""
    return AnalysisFailed(
        job_id=job.job_id,
        track_id=job.track_id,
        version=job.version,
        code=code,
        message=message,
        stage=stage,
        attempts=attempts,
        failed_at=at,
    )


def analysis_cancelled(job: AnalysisJob, *, at: datetime) -> AnalysisCancelled:
    """Return the event that a person's cancellation took effect."""
    return AnalysisCancelled(job_id=job.job_id, track_id=job.track_id, version=job.version, cancelled_at=at)
