"""Reports on an analysis: its warnings, and metrics about how it ran."""

import resource
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from k1_analysis.engine.audio.decoding import DecodingReport
from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.agreement.scores import compare
from k1_analysis.engine.beats.rhythm import Rhythm
from k1_analysis.engine.beats.tempo import tempo
from k1_analysis.engine.errors import MapWarning

LOW_F_MEASURE = 0.8
"""Below this the trackers disagree so much that a person should check the beats."""
_PHASE_IN_DOUBT = "The beats may be half a beat off. If they are, choose the offbeat among the alternatives."
_SHORTEST_SONG_S = 5.0
_SHORTEST_LOSS_S = 0.1
"""Shorter gaps come from rounded clocks, not from damage."""


@dataclass(slots=True)
class StageTimer:
    """Measures the seconds of each stage; they are not part of the map."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def decoding_warnings(decoded: DecodingReport) -> list[MapWarning]:
    warnings: list[MapWarning] = []
    if decoded.truncated and decoded.declared_s is not None:
        warnings.append(
            MapWarning(
                "truncated",
                f"The file declares {decoded.declared_s:.1f} s but holds {decoded.duration_s:.1f} s of audio.",
            )
        )
    if decoded.start.bound_ms is not None:
        message = f"{decoded.start.reason} All times may be off by up to {decoded.start.bound_ms:g} ms."
        warnings.append(MapWarning("offset_uncertain", message))
    warnings += _loss_warnings(decoded)
    if decoded.audio_streams > 1:
        message = f"The file holds {decoded.audio_streams} audio streams; its default one was analysed."
        warnings.append(MapWarning("several_streams", message))
    if decoded.not_finite:
        warnings.append(
            MapWarning(
                "not_finite",
                f"{decoded.not_finite} samples were not finite or absurdly loud and were silenced.",
            )
        )
    return warnings


def _loss_warnings(decoded: DecodingReport) -> list[MapWarning]:
    losses = decoded.losses
    warnings: list[MapWarning] = []
    if losses.packets or losses.seconds > _SHORTEST_LOSS_S:
        length = f"{losses.seconds:.1f} s" if losses.seconds > _SHORTEST_LOSS_S else "less than 0.1 s"
        message = f"The file is damaged: {length} of the music are lost."
        if losses.shift_s > _SHORTEST_LOSS_S:
            message += f" Later times may be up to {losses.shift_s:.1f} s early."
        warnings.append(MapWarning("damaged", message))
    if losses.parts:
        message = f"{losses.parts} of the streams chained in the file could not be read and were left out."
        warnings.append(MapWarning("left_out", message))
    return warnings


def musical_warnings(rhythm: Rhythm, decoded: DecodingReport) -> list[MapWarning]:
    if not decoded.peak and not decoded.damage:
        return [MapWarning("silent", "The file holds nothing but digital silence.")]
    warnings: list[MapWarning] = []
    if decoded.duration_s < _SHORTEST_SONG_S:
        warnings.append(MapWarning("short", "The song is too short for a reliable beat."))
    if not len(rhythm.beats):
        warnings.append(MapWarning("no_beats", "No pulse was found: the beat grid is empty."))
    elif rhythm.evidence.other_level is not None:
        message = _level_in_doubt(rhythm, rhythm.evidence.other_level)
        warnings.append(MapWarning("level_in_doubt", message))
    elif rhythm.evidence.phase_in_doubt:
        warnings.append(MapWarning("phase_in_doubt", _PHASE_IN_DOUBT))
    elif rhythm.agreement.f_measure < LOW_F_MEASURE:
        warnings.append(
            MapWarning("low_agreement", "Independent trackers disagree about the beats: check them by ear.")
        )
    if rhythm.tempi:
        warnings.append(several_tempi_warning(rhythm.tempi, rhythm.bpm))
    return warnings


def scale_confidence(rhythm: Rhythm, trust: float) -> Rhythm:
    """Return the same rhythm with its confidences multiplied by `trust`."""
    if trust == 1:
        return rhythm
    return replace(
        rhythm,
        beat_confidence=rhythm.beat_confidence * trust,
        track_confidence=rhythm.track_confidence * trust,
        tempo_confidence=rhythm.tempo_confidence * trust,
    )


def _level_in_doubt(rhythm: Rhythm, other: Seconds) -> str:
    return (
        f"{tempo(other):.1f} BPM is as likely as {rhythm.bpm:.1f}. "
        "If it is the right one, choose it among the alternatives."
    )


def several_tempi_warning(tempi: tuple[float, ...], longest: float) -> MapWarning:
    """Return the warning about a song with several steady tempi, of which `longest` lasts longest."""
    *others, last = (f"{bpm:.1f}" for bpm in tempi)
    return MapWarning(
        "several_tempi",
        f"The song has several tempi: {', '.join(others)} and {last} BPM. "
        f"Its bpm is the one that lasts longest, {longest:.1f}.",
    )


def analysis_metrics(rhythm: Rhythm, duration_s: float, seconds: dict[str, float]) -> dict[str, Any]:
    committee_result = rhythm.committee_result
    return {
        "f_measure_reference": "consensus",
        **rhythm.agreement.as_dict(),
        "chosen_tracker": committee_result.chosen,
        "independent_tracker": committee_result.independent,
        "committee_agreement": round(committee_result.agreement, 4),
        "mean_information_gain": {name: round(gain, 4) for name, gain in committee_result.gain.items()},
        "pair_information_gain": {name: round(gain, 4) for name, gain in committee_result.pairs.items()},
        "trackers_against_grid": {
            name: compare(rhythm.beats, times).as_dict() for name, times in committee_result.beats.items()
        },
        "tracker_bpm": {name: round(tempo(times), 2) for name, times in committee_result.beats.items()},
        "duration_s": round(duration_s, 3),
        "seconds": {name: round(spent, 3) for name, spent in seconds.items()},
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "companion_peak_rss_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
