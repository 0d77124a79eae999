"""A file in, a Genesis map out: the order of the stages and nothing else.

Three processes share the work: this one decodes, transforms and decides; two forks run Essentia's trackers, each
on its own decoding of the same file. Blocks of ten seconds stream through all, so that memory holds features,
never a whole song.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import av
import numpy as np

from k1_analysis.engine.audio.cancellation import CancellationMeter
from k1_analysis.engine.audio.decoding import AudioSource, Decoded
from k1_analysis.engine.audio.features import FeatureExtractor, Features, extract
from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats
from k1_analysis.engine.audio.levels import silences, sounding
from k1_analysis.engine.audio.loudness import Loudness, LoudnessMeter
from k1_analysis.engine.audio.tonal import Tonal, TonalExtractor, beat_means
from k1_analysis.engine.beats.rhythm import find_rhythm, preview_beats
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.beats.trackers.essentia import TrackerResults, load_essentia
from k1_analysis.engine.beats.trackers.essentia_process import QUICK, SLOW, Tracking, collected
from k1_analysis.engine.config import ENGINE, analysis_config
from k1_analysis.engine.errors import MapWarning
from k1_analysis.engine.finite import require_finite
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.output.analysis_report import (
    Stopwatch,
    decoding_warnings,
    measured,
    musical_warnings,
    trusted,
)
from k1_analysis.engine.output.genesis_map import Findings, beat_milliseconds, build_map, milliseconds
from k1_analysis.engine.presets import Preset, find_preset
from k1_analysis.engine.structure.sections import find_sections
from k1_contracts.base import rfc3339
from k1_contracts.genesis import GenesisMap

PREVIEW_BLOCKS = 3
"""Thirty seconds."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A first look at the opening of the song, from the network alone."""

    analysed_ms: float
    """How much of the song it covers."""
    bpm: float
    beat_grid_ms: list[float]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis has come. The preview comes once, with the stage `preview`."""

    stage: str
    percent: float
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result of one analysis."""

    genesis: GenesisMap
    genesis_json: bytes
    """The same as canonical JSON (RFC 8785)."""
    metrics: dict[str, Any]
    """How the analysis went: scores of the trackers against each other, seconds a stage, memory."""
    warnings: list[MapWarning]


ProgressListener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Song:
    """What is to be analysed, and how."""

    path: Path
    filename: str
    audio_sha256: str
    timestamp_utc: str
    preset: Preset | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Heard:
    """What this process learned by reading the file once."""

    features: Features
    tonal: Tonal
    loudness: Loudness
    decoded: Decoded
    stronger_channel: int | None
    """The one to read instead of the mean, where that cancels."""


def warm_up() -> None:
    """Import Essentia and load the weights, so that the first song is fast."""
    essentia = load_essentia()
    essentia.BeatTrackerDegara()
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)
    features = extract(samples)
    preview_beats(features, default_net()(features.log_bands))


def analyse_file(
    path: Path,
    *,
    filename: str,
    audio_sha256: str | None = None,
    preset: str | None = None,
    limits: Limits | None = None,
    progress: ProgressListener | None = None,
    timestamp_utc: str | None = None,
) -> Analysis:
    """Analyse one file.

    Args:
        path: the audio file.
        filename: the name to record in the map.
        audio_sha256: of the file's bytes, if already known.
        preset: name or alias of the preset that a person chose.
        limits: how much to accept.
        progress: called in this thread as the stages pass.
        timestamp_utc: RFC 3339; now if not given.

    Raises:
        EngineError: the file cannot be decoded, is too long, or holds no audio.
        UnknownPresetError: no preset has this name.
    """
    tell: ProgressListener = progress or (lambda _: None)
    watch = Stopwatch()
    song = _Song(
        path=path,
        filename=filename,
        audio_sha256=audio_sha256 or _file_sha256(path),
        timestamp_utc=timestamp_utc or rfc3339(datetime.now(UTC)),
        preset=find_preset(preset) if preset else None,
        limits=limits or Limits(),
    )
    findings = _understand(song, watch, tell)
    tell(Progress("map", 92))
    with watch.stage("map"):
        genesis_json = build_map(findings)
        # Read back from the bytes: a document of dictionaries beside the models would double the memory.
        validated = GenesisMap.model_validate_json(genesis_json)
    tell(Progress("done", 100))
    metrics = measured(findings.rhythm, findings.decoded.duration_s, watch.seconds)
    return Analysis(validated, genesis_json, metrics, findings.warnings)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What all three processes learned from one mono signal."""

    heard: _Heard
    activation: Floats
    trackers: TrackerResults
    warnings: list[MapWarning]


def _measure(song: _Song, watch: Stopwatch, tell: ProgressListener, channel: int | None = None) -> _Measured:
    """Read the file once in each process: the mean of its channels, or one channel where the mean cancels.

    Cancelling shows only at the end. Few songs do it, and those are read again; the others lose nothing.
    """
    with (
        AudioSource(song.path, song.limits, channel) as source,
        Tracking(song.path, song.limits, SLOW, channel) as slow,
    ):
        heard = _listen(source, watch, tell)
        if channel is None and heard.stronger_channel is not None:
            slow.stop()
            return _measure(song, watch, lambda _: None, heard.stronger_channel)
        tell(Progress("beats", 50))
        with watch.stage("network"):
            activation = require_finite("network", default_net()(heard.features.log_bands))
        with watch.stage("wait for trackers"), Tracking(song.path, song.limits, QUICK, channel) as quick:
            trackers, warnings = collected(slow, quick)
    return _Measured(heard, activation, trackers, warnings)


def _understand(song: _Song, watch: Stopwatch, tell: ProgressListener) -> Findings:
    """Everything that the map says. The features, which are big, live no longer than this call."""
    measured_song = _measure(song, watch, tell)
    heard, trackers = measured_song.heard, measured_song.trackers
    warnings = decoding_warnings(heard.decoded) + measured_song.warnings
    tell(Progress("rhythm", 75))
    duration_s, envelopes = heard.decoded.duration_s, heard.features.envelopes
    quiet = silences(envelopes, duration_s)
    with watch.stage("rhythm"):
        found = find_rhythm(
            heard.features,
            heard.tonal,
            measured_song.activation,
            essentia={"degara": trackers.degara, "multifeature": trackers.multifeature},
            sounding=sounding(quiet, duration_s),
            preset=song.preset,
        )
        rhythm = trusted(require_finite("rhythm", found), heard.decoded.trust)
    tell(Progress("sections", 85))
    with watch.stage("sections"):
        vocabulary = song.preset.sections if song.preset else ()
        downbeats = rhythm.beats[rhythm.bars.is_downbeat]
        found_sections = find_sections(
            heard.features,
            heard.tonal,
            downbeats,
            duration_s,
            electronic=rhythm.constant_tempo or "drop" in vocabulary,
            vocabulary=vocabulary,
        )
        sections = require_finite("sections", found_sections)
    return Findings(
        filename=song.filename,
        audio_sha256=song.audio_sha256,
        timestamp_utc=song.timestamp_utc,
        engine=ENGINE,
        config=analysis_config(song.preset.name if song.preset else None),
        preset=song.preset,
        decoded=heard.decoded,
        decoder=("libav through PyAV", av.__version__),
        envelopes=envelopes,
        loudness=heard.loudness,
        rhythm=rhythm,
        chroma=beat_means(heard.tonal.chroma, rhythm.beats),
        key=trackers.key,
        danceability=trackers.danceability,
        sections=sections,
        silences=quiet,
        warnings=warnings + musical_warnings(rhythm, heard.decoded),
    )


def _listen(source: AudioSource, watch: Stopwatch, tell: ProgressListener) -> _Heard:
    """Stream the file once through everything that looks at samples."""
    features, tonal, meter = FeatureExtractor(), TonalExtractor(), LoudnessMeter()
    cancellation = CancellationMeter()
    opening: list[Floats] | None = []
    blocks = source.blocks()
    heard_s = 0.0
    while True:
        with watch.stage("decode"):
            block, frames = next(blocks, (None, []))
        if block is None:
            break
        with watch.stage("features"):
            features.push(require_finite("decode", block))
        with watch.stage("tonal"):
            tonal.push(block)
        with watch.stage("loudness"):
            for frame in frames:
                meter.push(frame)
                cancellation.push(frame)
        heard_s += len(block) / SAMPLE_RATE_HZ
        if opening is not None:
            opening.append(block)
            if len(opening) == PREVIEW_BLOCKS:
                _give_preview(opening, watch, tell)
                opening = None
        tell(Progress("listen", _share(heard_s, source.declared_s)))
    if opening:
        _give_preview(opening, watch, tell)
    with watch.stage("features"):
        found = require_finite("features", features.finish())
    tones, loudness = require_finite("tonal", tonal.finish()), require_finite("loudness", meter.finish())
    return _Heard(found, tones, loudness, source.decoded(), cancellation.stronger_channel())


def _give_preview(opening: list[Floats], watch: Stopwatch, tell: ProgressListener) -> None:
    with watch.stage("preview"):
        samples = np.concatenate(opening)
        features = extract(samples)
        beats = require_finite("preview", preview_beats(features, default_net()(features.log_bands)))
        preview = Preview(
            analysed_ms=milliseconds(len(samples) / SAMPLE_RATE_HZ),
            bpm=round(tempo(beats), 2),
            beat_grid_ms=beat_milliseconds(beats),
        )
    tell(Progress("preview", 10, preview))


def _share(heard_s: float, declared_s: float | None) -> float:
    """Percent of the analysis done while listening, which is its first half."""
    return 50.0 * min(1.0, heard_s / declared_s) if declared_s else 25.0


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
