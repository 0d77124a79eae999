"""Commands to one owner, in the imperative."""

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.events import Version
from k1_contracts.ids import JobId, TrackId
from k1_contracts.tracks import DEFAULT_PRIORITY, AudioRef, Preset, Priority


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
