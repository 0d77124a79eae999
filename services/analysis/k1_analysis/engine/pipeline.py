"""A file in, a Genesis map out: the order of the stages and nothing else.

Two processes share the work: this one decodes, transforms and decides; a fork runs Essentia's trackers on its
own decoding of the same file. Blocks of ten seconds stream through both, so that memory holds features, never
a whole song.
"""

import resource
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import av
import numpy as np

from k1_analysis.engine.activation import default_net
from k1_analysis.engine.agreement import compare
from k1_analysis.engine.beats import Rhythm, find_rhythm, preview_beats
from k1_analysis.engine.companion import Companion, CompanionError
from k1_analysis.engine.config import ENGINE, analysis_config
from k1_analysis.engine.decode import AudioSource, Decoded
from k1_analysis.engine.features import FeatureExtractor, Features, extract
from k1_analysis.engine.framing import SAMPLE_RATE_HZ, Floats
from k1_analysis.engine.genesis_map import Findings, Warned, beat_milliseconds, build_map, milliseconds
from k1_analysis.engine.levels import silences, sounding
from k1_analysis.engine.limits import Limits
from k1_analysis.engine.loudness import Loudness, LoudnessMeter
from k1_analysis.engine.presets import find_preset
from k1_analysis.engine.rhythm import tempo
from k1_analysis.engine.sections import find_sections
from k1_analysis.engine.tonal import Tonal, TonalExtractor, beat_means
from k1_analysis.engine.trackers import TrackerResults, load_essentia, track
from k1_contracts.genesis import GenesisMap

PREVIEW_BLOCKS = 3
"""Thirty seconds."""
DOUBTFUL_F_MEASURE = 0.8
"""Below this the trackers disagree so much that a person should look."""
_SHORTEST_SONG_S = 5.0


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
    warnings: list[Warned]


ProgressListener = Callable[[Progress], None]


@dataclass(slots=True)
class _Stopwatch:
    """Seconds a stage; the map never contains them."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class _Heard:
    """What this process learned by reading the file once."""

    features: Features
    tonal: Tonal
    loudness: Loudness
    decoded: Decoded


def warm_up() -> None:
    """Import Essentia, load the weights and compile or load the numba code, so that the first song is fast."""
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
    limits = limits or Limits()
    tell: ProgressListener = progress or (lambda _: None)
    watch = _Stopwatch()
    chosen_preset = find_preset(preset) if preset else None
    with AudioSource(path, limits) as source, Companion(lambda: _track_file(path, limits)) as companion:
        heard = _listen(source, watch, tell)
        tell(Progress("beats", 50))
        with watch.stage("network"):
            activation = default_net()(heard.features.log_bands)
        warnings = _decoding_warnings(heard.decoded)
        with watch.stage("wait for trackers"):
            trackers = _tracker_results(companion, limits, warnings)
    tell(Progress("rhythm", 75))
    duration_s = heard.decoded.duration_s
    quiet = silences(heard.features, duration_s)
    with watch.stage("rhythm"):
        rhythm = find_rhythm(
            heard.features,
            heard.tonal,
            activation,
            essentia={"degara": trackers.degara, "multifeature": trackers.multifeature},
            sounding_s=sounding(quiet, duration_s),
            preset=chosen_preset,
        )
    tell(Progress("sections", 85))
    with watch.stage("sections"):
        sections = find_sections(
            heard.features,
            heard.tonal,
            rhythm.beats[rhythm.bars.is_downbeat],
            duration_s,
            chosen_preset.sections if chosen_preset else (),
        )
    warnings += _musical_warnings(rhythm, heard)
    tell(Progress("map", 92))
    with watch.stage("map"):
        genesis, genesis_json = build_map(
            Findings(
                filename=filename,
                audio_sha256=audio_sha256 or _file_sha256(path),
                timestamp_utc=timestamp_utc
                or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                engine=ENGINE,
                config=analysis_config(preset),
                preset=chosen_preset,
                decoded=heard.decoded,
                decoder=("libav through PyAV", av.__version__),
                features=heard.features,
                loudness=heard.loudness,
                rhythm=rhythm,
                chroma=beat_means(heard.tonal.chroma, rhythm.beats),
                key=trackers.key,
                danceability=trackers.danceability,
                sections=sections,
                silences=quiet,
                warnings=warnings,
            )
        )
    tell(Progress("done", 100))
    return Analysis(
        GenesisMap.model_validate(genesis), genesis_json, _metrics(rhythm, watch, duration_s), warnings
    )


def _listen(source: AudioSource, watch: _Stopwatch, tell: ProgressListener) -> _Heard:
    """Stream the file once through everything that looks at samples."""
    features, tonal, meter = FeatureExtractor(), TonalExtractor(), LoudnessMeter()
    opening: list[Floats] | None = []
    blocks = source.blocks()
    heard_s = 0.0
    while True:
        with watch.stage("decode"):
            block, frames = next(blocks, (None, []))
        if block is None:
            break
        with watch.stage("features"):
            features.push(block)
        with watch.stage("tonal"):
            tonal.push(block)
        with watch.stage("loudness"):
            for frame in frames:
                meter.push(frame)
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
        found = features.finish()
    return _Heard(found, tonal.finish(), meter.finish(), source.decoded())


def _give_preview(opening: list[Floats], watch: _Stopwatch, tell: ProgressListener) -> None:
    with watch.stage("preview"):
        samples = np.concatenate(opening)
        features = extract(samples)
        beats = preview_beats(features, default_net()(features.log_bands))
        preview = Preview(
            analysed_ms=milliseconds(len(samples) / SAMPLE_RATE_HZ),
            bpm=round(tempo(beats), 2),
            beat_grid_ms=beat_milliseconds(beats),
        )
    tell(Progress("preview", 10, preview))


def _share(heard_s: float, declared_s: float | None) -> float:
    """Percent of the analysis done while listening, which is its first half."""
    return 50.0 * min(1.0, heard_s / declared_s) if declared_s else 25.0


def _track_file(path: Path, limits: Limits) -> TrackerResults:
    with AudioSource(path, limits) as source:
        return track(block for block, _ in source.blocks())


def _tracker_results(
    companion: Companion[TrackerResults], limits: Limits, warnings: list[Warned]
) -> TrackerResults:
    try:
        return companion.result(limits.tracker_timeout_s)
    except CompanionError as error:
        warnings.append(
            Warned(
                "trackers_failed",
                f"Essentia's trackers gave nothing ({error}); the beats rest on the others.",
            )
        )
        return TrackerResults(np.empty(0), np.empty(0), None, 0.0)


def _decoding_warnings(decoded: Decoded) -> list[Warned]:
    warnings: list[Warned] = []
    if decoded.truncated and decoded.declared_s is not None:
        warnings.append(
            Warned(
                "truncated",
                f"The file declares {decoded.declared_s:.1f} s but holds {decoded.duration_s:.1f} s of audio.",
            )
        )
    if decoded.damaged_packets:
        warnings.append(Warned("damaged", f"{decoded.damaged_packets} damaged packets were skipped."))
    if decoded.not_finite:
        warnings.append(
            Warned(
                "not_finite",
                f"{decoded.not_finite} samples were not finite or absurdly loud and were silenced.",
            )
        )
    return warnings


def _musical_warnings(rhythm: Rhythm, heard: _Heard) -> list[Warned]:
    if not float(heard.features.peak.max()):
        return [Warned("silent", "The file holds nothing but digital silence.")]
    warnings: list[Warned] = []
    if heard.decoded.duration_s < _SHORTEST_SONG_S:
        warnings.append(Warned("short", "The song is too short for a reliable beat."))
    if not len(rhythm.beats):
        warnings.append(Warned("no_beats", "No pulse was found: the beat grid is empty."))
    elif rhythm.agreement.f_measure < DOUBTFUL_F_MEASURE:
        warnings.append(
            Warned("low_agreement", "Independent trackers disagree about the beats: check them by ear.")
        )
    return warnings


def _metrics(rhythm: Rhythm, watch: _Stopwatch, duration_s: float) -> dict[str, Any]:
    verdict = rhythm.verdict
    return {
        "f_measure_reference": "consensus",
        **rhythm.agreement.as_dict(),
        "chosen_tracker": verdict.chosen,
        "independent_tracker": verdict.independent,
        "committee_agreement": round(verdict.agreement, 4),
        "mean_information_gain": {name: round(gain, 4) for name, gain in verdict.gain.items()},
        "pair_information_gain": {name: round(gain, 4) for name, gain in verdict.pairs.items()},
        "trackers_against_grid": {
            name: compare(rhythm.beats, times).as_dict() for name, times in verdict.beats.items()
        },
        "tracker_bpm": {name: round(tempo(times), 2) for name, times in verdict.beats.items()},
        "duration_s": round(duration_s, 3),
        "seconds": {name: round(seconds, 3) for name, seconds in watch.seconds.items()},
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "companion_peak_rss_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
