"""What a job is, what it leaves behind, and the facts it tells. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisJob,
    AnalysisStarted,
    RequestAnalysis,
)
from k1_contracts.messages.tracks import TrackUploaded
from k1_contracts.tracks import AnalysisSummary, ArtefactRef, ArtefactType, Notice, StoredFile

MAX_ATTEMPTS: Final = 2
"""A job whose child failed is tried once more in a fresh one."""
MAX_DELIVERIES: Final = 8
"""A job that ended the whole pod this often is given up."""
MANIFEST: Final = "manifest.json"

CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".json": "application/json",
    ".png": "image/png",
    ".bin": "application/octet-stream",
    ".k1b": "application/cbor",
}


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that an analysis wrote into its scratch folder."""

    type: ArtefactType
    name: str
    size_bytes: int
    sha256: str

    def stored(self, prefix: str) -> StoredFile:
        """The file once it lies under this prefix of the object store."""
        return StoredFile(
            type=self.type,
            name=self.name,
            key=f"{prefix}/{self.name}",
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            content_type=content_type(self.name),
        )


@dataclass(frozen=True, slots=True)
class Made:
    """All that one analysis made: the same for every job with the same audio and configuration."""

    files: tuple[MadeFile, ...]
    summary: AnalysisSummary
    warnings: tuple[Notice, ...]

    def to_json(self) -> bytes:
        """The manifest; it is stored last, so where it lies everything lies."""
        return json.dumps(
            {
                "files": [
                    {"type": f.type, "name": f.name, "size_bytes": f.size_bytes, "sha256": f.sha256}
                    for f in self.files
                ],
                "summary": self.summary.model_dump(mode="json"),
                "warnings": [notice.model_dump(mode="json") for notice in self.warnings],
            }
        ).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Made":
        """Read a manifest back."""
        data = json.loads(text)
        return cls(
            files=tuple(MadeFile(**item) for item in data["files"]),
            summary=AnalysisSummary.model_validate(data["summary"]),
            warnings=tuple(Notice.model_validate(item) for item in data["warnings"]),
        )


def job_of_upload(event: TrackUploaded) -> AnalysisJob:
    """The first analysis of a track."""
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


def job_of_request(command: RequestAnalysis) -> AnalysisJob:
    """A later analysis that somebody asked for."""
    return AnalysisJob.model_validate(command.model_dump())


def artefact_prefix(audio_sha256: str, engine: str, config: Mapping[str, Any]) -> str:
    """Where the artefacts lie: the same audio, engine and configuration share one place."""
    identity = json.dumps([audio_sha256, engine, config], sort_keys=True, separators=(",", ":"))
    return f"artefacts/{sha256(identity.encode()).hexdigest()}"


def described(path: Path, kind: ArtefactType) -> MadeFile:
    """Size and hash of a file that was made."""
    data = path.read_bytes()
    return MadeFile(kind, path.name, len(data), sha256(data).hexdigest())


def content_type(name: str) -> str:
    """The media type of an artefact."""
    return CONTENT_TYPES[Path(name).suffix]


def started(job: AnalysisJob, *, worker_id: str, engine: str, attempt: int, at: datetime) -> AnalysisStarted:
    """The fact that a worker took the job."""
    return AnalysisStarted(
        job_id=job.job_id,
        track_id=job.track_id,
        version=job.version,
        worker_id=worker_id,
        engine=engine,
        attempt=attempt,
        started_at=at,
    )


def completed(
    job: AnalysisJob,
    made: Made,
    *,
    prefix: str,
    engine: str,
    elapsed_ms: float,
    reused: bool,
    at: datetime,
) -> AnalysisCompleted:
    """The fact that a version's artefacts lie in the object store."""
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
        completed_at=at,
    )


def failed(
    job: AnalysisJob, *, code: str, message: str, stage: str | None, attempts: int, at: datetime
) -> AnalysisFailed:
    """The fact that a job ended without a map."""
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


def cancelled(job: AnalysisJob, *, at: datetime) -> AnalysisCancelled:
    """The fact that a person's cancellation took effect."""
    return AnalysisCancelled(job_id=job.job_id, track_id=job.track_id, version=job.version, cancelled_at=at)
