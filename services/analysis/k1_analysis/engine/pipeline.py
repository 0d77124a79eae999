"""Analyses a file: runs all stages in order and returns the Genesis map.

Three processes share the work. This one decodes, computes features and finds rhythm and sections; two forks run
Essentia's trackers, each with its own decoding of the same file. All read blocks of ten seconds, so that memory
holds features and never a whole song.
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
from k1_analysis.engine.audio.decoding import AudioSource, DecodingReport
from k1_analysis.engine.audio.features import FeatureExtractor, Features, extract
from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.levels import find_audible, find_silences
from k1_analysis.engine.audio.loudness import Loudness, LoudnessMeter
from k1_analysis.engine.audio.peaks import PeakMeter
from k1_analysis.engine.audio.tonal import Tonal, TonalExtractor, beat_means
from k1_analysis.engine.beats.agreement.committee import MemberName
from k1_analysis.engine.beats.rhythm import find_rhythm, preview_beats, track_members
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.beats.trackers.activation import default_net
from k1_analysis.engine.beats.trackers.essentia import TrackerResults, load_essentia
from k1_analysis.engine.beats.trackers.essentia_process import (
    FAST_MEASURES,
    SLOW_MEASURES,
    EssentiaProcess,
    merge_results,
)
from k1_analysis.engine.config import ENGINE, analysis_config
from k1_analysis.engine.errors import MapWarning
from k1_analysis.engine.finite import require_finite
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.output.analysis_report import (
    StageTimer,
    analysis_metrics,
    decoding_warnings,
    musical_warnings,
    scale_confidence,
)
from k1_analysis.engine.output.genesis_map import MapInputs, beat_milliseconds, build_map, milliseconds
from k1_analysis.engine.presets import Preset, find_preset
from k1_analysis.engine.structure.key import find_key
from k1_analysis.engine.structure.sections import find_sections
from k1_contracts.base import rfc3339
from k1_contracts.genesis import GenesisMap

PREVIEW_BLOCKS = 3
"""Thirty seconds."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Beats of the first seconds of the song, from the network alone."""

    analysed_ms: float
    """Length of the part of the song that it covers."""
    bpm: float
    beat_grid_ms: list[float]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an analysis. The preview comes once, with the stage `preview`."""

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
    """Scores of the trackers against each other, seconds per stage, memory."""
    warnings: list[MapWarning]
    waveform: bytes
    """The peaks of the waveform as a .dat file of audiowaveform."""


ProgressListener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _AnalysisInput:
    """The file to analyse, and the options."""

    path: Path
    filename: str
    audio_sha256: str
    timestamp_utc: str
    preset: Preset | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class _SignalFeatures:
    """Features and levels of the samples, from reading the file once."""

    features: Features
    tonal: Tonal
    loudness: Loudness
    decoded: DecodingReport
    stronger_channel: int | None
    """The channel to read instead of the mean, if the channels cancel in the mean."""
    waveform: bytes


def warm_up() -> None:
    """Import Essentia and load the weights, so that the first song is fast."""
    essentia = load_essentia()
    essentia.BeatTrackerDegara()
    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(2 * SAMPLE_RATE_HZ)).astype(np.float32)
    features = extract(samples)
    preview_beats(features, default_net()(features.log_bands))


def inference_cpu_s() -> float:
    """Return the CPU seconds that the network has used in this process so far."""
    return default_net().cpu_s


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
        limits: the limits of the analysis.
        progress: called in this thread at each stage.
        timestamp_utc: RFC 3339; now if not given.

    Raises:
        EngineError: the file cannot be decoded, is too long, or holds no audio.
        UnknownPresetError: no preset has this name.
    """
    report: ProgressListener = progress or (lambda _: None)
    timer = StageTimer()
    song = _AnalysisInput(
        path=path,
        filename=filename,
        audio_sha256=audio_sha256 or _file_sha256(path),
        timestamp_utc=timestamp_utc or rfc3339(datetime.now(UTC)),
        preset=find_preset(preset) if preset else None,
        limits=limits or Limits(),
    )
    inputs, waveform = _collect_inputs(song, timer, report)
    report(Progress("map", 92))
    with timer.stage("map"):
        genesis_json = build_map(inputs)
        # Read back from the bytes: a document of dictionaries next to the models would double the memory.
        validated = GenesisMap.model_validate_json(genesis_json)
    report(Progress("done", 100))
    metrics = analysis_metrics(inputs.rhythm, inputs.decoded.duration_s, timer.seconds)
    return Analysis(validated, genesis_json, metrics, inputs.warnings, waveform)


@dataclass(frozen=True, slots=True)
class _Measurements:
    """The results of all three processes for one mono signal."""

    signal: _SignalFeatures
    activation: Floats
    members: dict[MemberName, Seconds]
    """The beats of each member of the committee."""
    trackers: TrackerResults
    warnings: list[MapWarning]


def _measure_song(
    song: _AnalysisInput, timer: StageTimer, report: ProgressListener, channel: int | None = None
) -> _Measurements:
    """Read the file once in each process: the mean of its channels, or one channel if they cancel in the mean.

    Cancellation is known only at the end. Only the few songs that have it are read again. Processes are forked while
    no file is open here: the threads of a decoder may hold locks, on which a fork would wait for ever.
    """
    with EssentiaProcess(song.path, song.limits, SLOW_MEASURES, channel) as slow:
        with AudioSource(song.path, song.limits, channel) as source:
            signal = _extract_features(source, timer, report)
        if channel is None and signal.stronger_channel is not None:
            slow.stop()
            return _measure_song(song, timer, lambda _: None, signal.stronger_channel)
        report(Progress("beats", 50))
        with timer.stage("network"):
            activation = require_finite("network", default_net()(signal.features.log_bands))
        with EssentiaProcess(song.path, song.limits, FAST_MEASURES, channel) as fast:
            with timer.stage("track"):
                members = track_members(signal.features, activation)
            with timer.stage("wait for trackers"):
                trackers, warnings = merge_results(slow, fast)
    members |= {"degara": trackers.degara, "multifeature": trackers.multifeature}
    return _Measurements(signal, activation, members, trackers, warnings)


def _collect_inputs(
    song: _AnalysisInput, timer: StageTimer, report: ProgressListener
) -> tuple[MapInputs, bytes]:
    """Return everything that the map needs, and the waveform. The features, which are big, are freed when this returns."""
    measurements = _measure_song(song, timer, report)
    signal, trackers = measurements.signal, measurements.trackers
    warnings = decoding_warnings(signal.decoded) + measurements.warnings
    report(Progress("rhythm", 75))
    duration_s, envelopes = signal.decoded.duration_s, signal.features.envelopes
    quiet = find_silences(envelopes, duration_s)
    with timer.stage("rhythm"):
        found = find_rhythm(
            signal.features,
            signal.tonal,
            measurements.activation,
            members=measurements.members,
            audible=find_audible(quiet, duration_s),
            preset=song.preset,
        )
        rhythm = scale_confidence(require_finite("rhythm", found), signal.decoded.trust)
    report(Progress("sections", 85))
    with timer.stage("sections"):
        vocabulary = song.preset.sections if song.preset else ()
        downbeats = rhythm.beats[rhythm.bars.is_downbeat]
        found_sections = find_sections(
            signal.features,
            signal.tonal,
            downbeats,
            duration_s,
            electronic=rhythm.constant_tempo or "drop" in vocabulary,
            vocabulary=vocabulary,
        )
        sections = require_finite("sections", found_sections)
    inputs = MapInputs(
        filename=song.filename,
        audio_sha256=song.audio_sha256,
        timestamp_utc=song.timestamp_utc,
        engine=ENGINE,
        config=analysis_config(song.preset.name if song.preset else None),
        preset=song.preset,
        decoded=signal.decoded,
        decoder=("libav through PyAV", av.__version__),
        envelopes=envelopes,
        loudness=signal.loudness,
        rhythm=rhythm,
        chroma=beat_means(signal.tonal.chroma, rhythm.beats),
        key=find_key(
            trackers.harmony,
            rhythm.beats,
            rhythm.bars.is_downbeat,
            np.array([section.start_s for section in sections]),
        ),
        danceability=trackers.danceability,
        sections=sections,
        silences=quiet,
        warnings=warnings + musical_warnings(rhythm, signal.decoded),
    )
    return inputs, signal.waveform


def _extract_features(source: AudioSource, timer: StageTimer, report: ProgressListener) -> _SignalFeatures:
    """Read the file once and return what the extractors and meters found in its samples."""
    features, tonal, meter = FeatureExtractor(), TonalExtractor(), LoudnessMeter()
    cancellation, peaks = CancellationMeter(), PeakMeter()
    opening: list[Floats] | None = []
    blocks = source.blocks()
    read_s = 0.0
    while True:
        with timer.stage("decode"):
            block, frames = next(blocks, (None, []))
        if block is None:
            break
        with timer.stage("features"):
            features.push(require_finite("decode", block))
        with timer.stage("tonal"):
            tonal.push(block)
        with timer.stage("waveform"):
            peaks.push(block)
        with timer.stage("loudness"):
            for frame in frames:
                meter.push(frame)
                cancellation.push(frame)
        read_s += len(block) / SAMPLE_RATE_HZ
        if opening is not None:
            opening.append(block)
            if len(opening) == PREVIEW_BLOCKS:
                _report_preview(opening, timer, report)
                opening = None
        report(Progress("listen", _share(read_s, source.declared_s)))
    if opening:
        _report_preview(opening, timer, report)
    with timer.stage("features"):
        found = require_finite("features", features.finish())
    tones, loudness = require_finite("tonal", tonal.finish()), require_finite("loudness", meter.finish())
    return _SignalFeatures(
        found, tones, loudness, source.decoded(), cancellation.stronger_channel(), peaks.finish()
    )


def _report_preview(opening: list[Floats], timer: StageTimer, report: ProgressListener) -> None:
    with timer.stage("preview"):
        samples = np.concatenate(opening)
        features = extract(samples)
        beats = require_finite("preview", preview_beats(features, default_net()(features.log_bands)))
        preview = Preview(
            analysed_ms=milliseconds(len(samples) / SAMPLE_RATE_HZ),
            bpm=round(tempo(beats), 2),
            beat_grid_ms=beat_milliseconds(beats),
        )
    report(Progress("preview", 10, preview))


def _share(read_s: float, declared_s: float | None) -> float:
    """Return the percent of the analysis that is done, while the file is read in its first half."""
    return 50.0 * min(1.0, read_s / declared_s) if declared_s else 25.0


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
