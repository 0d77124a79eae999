"""Genesis map v4: what a light show needs to know of a song.

Times are milliseconds from the first decoded sample, rounded to 0.1 ms; intensities lie in 0..1.
Unknown optional fields are kept (`extra="allow"`), missing required ones refused.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAP_VERSION = "4.0.0"
ENVELOPE_RATE_HZ = 20
"""Points a second of the band and RMS envelopes."""
LOUDNESS_RATE_HZ = 10
"""Points a second of the short-term loudness."""

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

FMeasureReference = Literal["override", "annotation", "consensus"]
SectionLabel = Literal["intro", "verse", "build", "drop", "breakdown", "chorus", "outro", "section"]
AlternativeKind = Literal["half", "double", "offbeat", "other"]


class GenesisModel(BaseModel):
    """A part of the map: frozen, unknown fields kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class MapWarning(GenesisModel):
    """Something a person should know before trusting this map."""

    code: str
    message: str


class Hashes(GenesisModel):
    audio_sha256: str
    """SHA-256 of the file's bytes."""
    map_sha256: str
    """SHA-256 of the canonical JSON (RFC 8785) without `timestamp_utc` and this field."""
    pcm_sha256: str | None = None
    """SHA-256 of the decoded mono float32 samples."""


class Decoder(GenesisModel):
    """How the samples were obtained; decoders of MP3 differ by 20-40 ms."""

    name: str
    version: str
    codec: str
    container: str
    sample_rate_hz: int = Field(gt=0)
    channels: int = Field(gt=0)
    sample_offset: int = 0
    """Samples of encoder delay that the decoder removed."""
    offset_uncertain_ms: Milliseconds | None = None
    """How far all times may be off, where the file does not say how much its encoder added."""
    declared_ms: Milliseconds | None = None
    """The length that the container declares, if it does."""
    integrity: Unit | None = None
    """What beats found in this audio can be relied on for: 1 where all of it was decoded, less where some was lost."""


class OverriddenBeats(GenesisModel):
    """Says that a person set the beats, and where the rest of the map comes from."""

    base_map_sha256: str
    """`map_sha256` of the map of the automatic analysis."""
    automatic_beats: int
    """The number of beats that the analysis had found."""


class Metadata(GenesisModel):
    filename: str
    analysis_engine: str
    timestamp_utc: str
    version: Literal["4.0.0"] = MAP_VERSION
    hashes: Hashes
    analysis_config: dict[str, object]
    decoder: Decoder | None = None
    beat_override: OverriddenBeats | None = None
    """None where the beats are those of the automatic analysis."""
    warnings: list[MapWarning] = Field(default_factory=list[MapWarning])


class GlobalMetrics(GenesisModel):
    duration_ms: float = Field(gt=0, allow_inf_nan=False)
    bpm: float = Field(ge=0, le=300, allow_inf_nan=False)
    f_measure: Unit
    """Of the beats against `f_measure_reference`. With `consensus` it is no accuracy but an agreement with independent
    trackers, limited by doubt about the metrical level and the phase (see docs/genesis-map.md)."""
    cemgil: Unit
    """The same by Cemgil's score, which rewards exact times."""
    dynamic_range: Finite
    """dB"""
    f_measure_reference: FMeasureReference
    tempo_confidence: Unit
    tempo_stability: Unit
    time_signature: str
    key: str
    scale: str
    key_strength: Unit
    integrated_lufs: Finite | None
    """None for silence, which has no loudness."""
    loudness_range_lu: Finite
    true_peak_dbtp: Finite | None
    spectral_centroid_hz: Finite
    danceability: Finite
    confidence: Unit | None = None
    """How far the beats can be trusted, calibrated (see docs/benchmarks.md)."""


class IntensityPoint(GenesisModel):
    time_ms: Milliseconds
    intensity: Unit


class ValuePoint(GenesisModel):
    time_ms: Milliseconds
    value: Finite


class TempoPoint(GenesisModel):
    time_ms: Milliseconds
    bpm: float = Field(ge=0, le=400, allow_inf_nan=False)


class BeatAlternative(GenesisModel):
    """Another interpretation of the pulse that a person can switch to; the best comes first."""

    kind: AlternativeKind
    """`other`: the beats of the tracker that `source` names; without it another level, or one beat a bar."""
    bpm: float = Field(ge=0, le=600, allow_inf_nan=False)
    score: Unit
    """How well the beats fit the song; comparable with `interpretation_score`."""
    beat_grid_ms: list[Milliseconds]
    downbeat_ms: list[Milliseconds] | None = None
    """Some of the beats; None where each beat is a bar, and in maps of earlier versions."""
    source: str | None = None
    """The tracker that found these beats, or `automatic`: what the analysis had chosen before a person set the beats.
    None for interpretations derived from the beats of the analysis."""


class Rhythm(GenesisModel):
    beat_grid_ms: list[Milliseconds]
    downbeat_ms: list[Milliseconds]
    beat_strength: list[Unit]
    tempo_curve: list[TempoPoint]
    beat_confidence: list[Unit] | None = None
    interpretation_score: Unit | None = None
    """How well the beats fit the song; comparable with the scores of the alternatives."""
    alternatives: list[BeatAlternative] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        require_rising(self.beat_grid_ms, "layers.rhythm.beat_grid_ms")
        require_rising(self.downbeat_ms, "layers.rhythm.downbeat_ms")
        if not set(self.downbeat_ms) <= set(self.beat_grid_ms):
            raise ValueError("layers.rhythm.downbeat_ms holds a time that is not a beat")
        if len(self.beat_strength) != len(self.beat_grid_ms):
            raise ValueError("layers.rhythm.beat_strength needs one value a beat")
        if self.beat_confidence is not None and len(self.beat_confidence) != len(self.beat_grid_ms):
            raise ValueError("layers.rhythm.beat_confidence needs one value a beat")
        return self


class Frequency(GenesisModel):
    bass: list[IntensityPoint]
    """20-250 Hz"""
    mids: list[IntensityPoint]
    """250-4000 Hz"""
    highs: list[IntensityPoint]
    """4000-16000 Hz"""


class LoudnessPoint(GenesisModel):
    time_ms: Milliseconds
    lufs: Finite


class Dynamics(GenesisModel):
    rms: list[IntensityPoint]
    loudness_lufs: list[LoudnessPoint]
    window_ms: float = Field(gt=0)
    peaks: list[IntensityPoint]


class Spectral(GenesisModel):
    centroid: list[ValuePoint]
    flux: list[ValuePoint]
    flatness: list[ValuePoint]
    rolloff: list[ValuePoint]
    chroma: list[list[Unit]]
    """12 rows from C upwards, one column a beat."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.chroma) != 12 or len({len(row) for row in self.chroma}) != 1:  # noqa: PLR2004
            raise ValueError("layers.spectral.chroma needs 12 rows of one length")
        return self


class Section(GenesisModel):
    start_ms: Milliseconds
    end_ms: Milliseconds
    label: SectionLabel
    confidence: Unit
    energy: Unit


class Span(GenesisModel):
    start_ms: Milliseconds
    end_ms: Milliseconds


class Annotations(GenesisModel):
    sections: list[Section]
    drops: list[Milliseconds]
    """Where each drop starts."""
    silence: list[Span]
    """Of half a second and more. No beat stands further inside than a point of the envelopes."""


class Layers(GenesisModel):
    rhythm: Rhythm
    frequency: Frequency
    dynamics: Dynamics
    spectral: Spectral
    annotations: Annotations


class GenesisMap(GenesisModel):
    """One track version's map."""

    metadata: Metadata
    global_metrics: GlobalMetrics
    layers: Layers


class MapSlice(GenesisModel):
    """Which part of a map this is; None is all of it. Times in milliseconds, both ends included."""

    layers: list[str] | None = None
    from_ms: float | None = None
    to_ms: float | None = None
    max_points: int | None = None
    downsampling: str | None = None
    """How curves with more than `max_points` points were thinned."""


class ViewMetadata(Metadata):
    slice: MapSlice | None = None
    """Absent from a whole map."""


class ViewLayers(GenesisModel):
    """The layers that were asked for."""

    rhythm: Rhythm | None = None
    frequency: Frequency | None = None
    dynamics: Dynamics | None = None
    spectral: Spectral | None = None
    annotations: Annotations | None = None


class GenesisView(GenesisModel):
    """A map as the API answers with it: the whole map, or a slice of it, which says so in `metadata.slice`."""

    metadata: ViewMetadata
    global_metrics: GlobalMetrics
    layers: ViewLayers


def require_rising(times: Sequence[float], where: str) -> None:
    """Raise ValueError unless `times` rise strictly."""
    for index, (before, after) in enumerate(pairwise(times)):
        if after <= before:
            raise ValueError(f"{where} must rise: element {index + 1} ({after}) is not after {before}")
