"""What several messages share: the audio, the artefacts and the state of a track."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from k1_contracts.base import Contract
from k1_contracts.ids import ArtefactId, Sha256, derived_id

Preset = Literal["edm", "rock", "orchestral", "jazz", "hiphop", "edm_high_energy"]
TrackStatus = Literal["uploading", "processing", "ready", "warning", "failed", "deleted"]
VersionStatus = Literal["processing", "ready", "warning", "failed"]
JobStatus = Literal["queued", "processing", "completed", "failed", "cancelled"]
ArtefactStatus = Literal["present", "missing", "deleted"]
ArtefactType = Literal[
    "genesis_map",
    "metrics",
    "graph",
    "graph_metrics",
    "graph_estimate",
    "graph_validation",
    "graph_impact",
    "graph_analysis",
    "graph_executor_scale",
    "visual_report",
    "preview",
    "waveform",
    "speedscope",
    "beat_override",
    "bundle",
]

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
Priority = Annotated[int, Field(ge=1, le=10)]
DEFAULT_PRIORITY = 5
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Of a track; at most what a PostgreSQL integer holds."""

F_MEASURE_WARNING = 0.80
"""Below it a track's status is `warning`."""
INTEGRITY_WARNING = 0.85
"""Below it a track's status is `warning`: more than a twentieth of the audio, or the place of a part, is lost."""


class AudioRef(Contract):
    """An audio file in the object store."""

    key: str
    sha256: Sha256
    size_bytes: int = Field(gt=0)
    container: str
    codec: str
    duration_ms: float | None = Field(default=None, ge=0)
    """What the container declares; the decoded length stands in the map."""
    sample_rate_hz: int = Field(gt=0)
    channels: int = Field(gt=0)


class StoredFile(Contract):
    """A file of a song in the object store."""

    type: ArtefactType
    name: str
    key: str
    size_bytes: int = Field(ge=0)
    sha256: Sha256
    content_type: str


class ArtefactRef(StoredFile):
    """A file that belongs to a version."""

    id: ArtefactId

    @classmethod
    def of(cls, file: StoredFile, track_id: str, version: int) -> Self:
        """The same file of the same version has the same id."""
        made_for = derived_id("art", track_id, str(version), file.type, file.name)
        return cls(id=made_for, **file.model_dump(include=set(StoredFile.model_fields)))


class Notice(Contract):
    """A warning that a person can act on."""

    code: str
    message: str


class AnalysisSummary(Contract):
    """The figures of a map that lists and reports show."""

    duration_ms: float = Field(gt=0)
    bpm: float = Field(ge=0, le=300)
    beat_count: int = Field(ge=0)
    downbeat_count: int = Field(ge=0)
    f_measure: float = Field(ge=0, le=1)
    f_measure_reference: str
    time_signature: str
    key: str
    scale: str
    integrated_lufs: float | None = None
    section_count: int = Field(ge=0)
    confidence: float | None = Field(default=None, ge=0, le=1)
    integrity: float | None = Field(default=None, ge=0, le=1)
    """Of the audio: 1 where all of it was decoded, less where some was lost."""
    pcm_sha256: Sha256 | None = None
    """Of the decoded samples: the same for the same recording under other tags or in another lossless file."""
