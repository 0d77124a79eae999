"""Runs Essentia's beat trackers and pitch class profile window by window, and survives their failures.

Degara: Degara et al., "Reliability-informed beat tracking of musical signals", TASLP 2012. Multifeature:
Zapata, Davies and Gomez, "Multi-feature beat tracking", TASLP 2014. A window at a time keeps the memory of
the second tracker (35 MB a minute) from growing with the song.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal, get_args

import numpy as np

from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.tonal import PITCH_CLASSES, RATE_HZ
from k1_analysis.engine.finite import NotFiniteError, require_finite

BIAS_S = 0.008
"""Seconds by which both trackers report beats late, on average over 78 annotated tracks."""
WINDOW_S = 90.0
OVERLAP_S = 10.0
SHORTEST_S = 5.0
"""The trackers may raise on a shorter window."""
HARMONY_HOP = SAMPLE_RATE_HZ // RATE_HZ
HARMONY_WINDOW = 4096
_PEAKS_HZ = (25.0, 3500.0)
_MOST_PEAKS = 60
_A = 9
"""Essentia counts pitch classes from A: this one from C."""
QUIETEST = 1e-4
"""Peak below which a window counts as silence: Essentia returns nonsense there."""


Measure = Literal["degara", "multifeature", "harmony", "danceability"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True)
class TrackerResults:
    """Results of Essentia for a song, empty if not measured. Beat times in seconds."""

    degara: Seconds = field(default_factory=lambda: np.empty(0))
    multifeature: Seconds = field(default_factory=lambda: np.empty(0))
    harmony: Floats = field(default_factory=lambda: np.empty((0, PITCH_CLASSES), np.float32))
    """(N, 12) strength of each pitch class from C upwards, 10 a second; zeros where the song is silent."""
    danceability: float = 0.0
    """Detrended fluctuation (Streich and Herrera, AES 2005): 0 to about 3, higher is steadier."""
    failed: tuple[Measure, ...] = ()
    """Measures that raised in some window, and so have no result for it."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The start of a window, and the part of it whose results are kept."""

    start_s: float
    keep_from_s: float
    keep_to_s: float

    @property
    def length_s(self) -> float:
        return self.keep_to_s - self.keep_from_s


def pitch_classes(essentia: "Essentia", samples: Floats) -> Floats:
    """Return (N, 12): the harmonic pitch class profile from C upwards of each HARMONY_HOP samples.

    Only spectral peaks count, whitened, so that drums and timbre matter little. A peak counts for the notes of which
    it may be one of the first four harmonics as well (Gomez, "Tonal description of music audio signals", 2006).
    """
    lowest, highest = _PEAKS_HZ
    window = essentia.Windowing(type="hann", size=HARMONY_WINDOW)
    spectrum = essentia.Spectrum(size=HARMONY_WINDOW)
    peaks = essentia.SpectralPeaks(
        magnitudeThreshold=1e-4,
        minFrequency=lowest,
        maxFrequency=highest,
        maxPeaks=_MOST_PEAKS,
        orderBy="magnitude",
        sampleRate=float(SAMPLE_RATE_HZ),
    )
    whitening = essentia.SpectralWhitening(maxFrequency=highest, sampleRate=float(SAMPLE_RATE_HZ))
    profile = essentia.HPCP(
        bandPreset=False,
        minFrequency=lowest,
        maxFrequency=highest,
        harmonics=4,
        normalized="none",
        size=PITCH_CLASSES,
        weightType="cosine",
        windowSize=1.0,
        sampleRate=float(SAMPLE_RATE_HZ),
    )
    rows = np.zeros((len(samples) // HARMONY_HOP, PITCH_CLASSES), np.float32)
    for row, start in enumerate(range(0, len(samples) - HARMONY_HOP + 1, HARMONY_HOP)):
        magnitudes = spectrum(window(samples[start : start + HARMONY_WINDOW]))
        frequencies, levels = peaks(magnitudes)
        if len(frequencies):
            rows[row] = profile(frequencies, whitening(magnitudes, frequencies, levels))
    return np.roll(rows, _A, axis=1)


# A new algorithm for each window: Essentia's composites keep state from the window before and then err or raise.
_MEASURES: dict[Measure, Callable[["Essentia", Floats], Any]] = {
    "degara": lambda essentia, samples: essentia.BeatTrackerDegara()(samples),
    "multifeature": lambda essentia, samples: essentia.BeatTrackerMultiFeature()(samples)[0],
    "harmony": pitch_classes,
    "danceability": lambda essentia, samples: essentia.Danceability()(samples)[0],
}


class Essentia:
    """Essentia's algorithms by name, like `essentia.standard`: `essentia.KeyExtractor(profileType=...)(samples)`.

    Importing that module creates hundreds of algorithms and never frees their 100 MB. This class creates only those
    that are used. Samples must be contiguous float32; nothing is converted.
    """

    def __init__(self) -> None:
        essentia = importlib.import_module("essentia")
        essentia.log.infoActive = False
        essentia.log.warningActive = False
        self._native = importlib.import_module("essentia._essentia")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._make, name)

    def _make(self, name: str, **parameters: object) -> Callable[..., Any]:
        algorithm = self._native.Algorithm(name)
        algorithm.__configure__(**parameters)
        return algorithm.__compute__


@cache
def load_essentia() -> Essentia:
    """Return Essentia, with its console output turned off."""
    return Essentia()


def track(blocks: Iterable[Floats], measures: tuple[Measure, ...] = MEASURES) -> TrackerResults:
    """Return some or all measures of a stream of mono blocks at 44.1 kHz (finite)."""
    essentia = load_essentia()
    results: dict[Measure, list[tuple[_Span, Any]]] = {name: [] for name in MEASURES}
    failed: set[Measure] = set()
    for samples, span in _windows(blocks):
        if not _usable(samples):
            continue
        for name in measures:
            try:
                results[name].append((span, require_finite(name, _MEASURES[name](essentia, samples))))
            except (
                RuntimeError,
                NotFiniteError,
            ):  # Essentia raises the first for samples that it cannot process
                failed.add(name)
    return TrackerResults(
        degara=_join_beats(results["degara"]),
        multifeature=_join_beats(results["multifeature"]),
        harmony=_join_frames(results["harmony"]),
        danceability=_mean_value(results["danceability"]),
        failed=tuple(sorted(failed)),
    )


def _join_frames(results: list[tuple[_Span, Any]]) -> Floats:
    """Return the rows of all windows in order, each at its time; windows start at whole rows."""
    length = max((round(span.keep_to_s * RATE_HZ) for span, _ in results), default=0)
    joined = np.zeros((length, PITCH_CLASSES), np.float32)
    for span, found in results:
        first, start = round(span.keep_from_s * RATE_HZ), round(span.start_s * RATE_HZ)
        kept = found[first - start : round(span.keep_to_s * RATE_HZ) - start]
        joined[first : first + len(kept)] = kept
    return joined


def _mean_value(results: list[tuple[_Span, Any]]) -> float:
    measured_s = sum(span.length_s for span, _ in results)
    return sum(float(value) * span.length_s for span, value in results) / measured_s if measured_s else 0.0


def _usable(samples: Floats) -> bool:
    return len(samples) >= SHORTEST_S * SAMPLE_RATE_HZ and float(np.abs(samples).max()) > QUIETEST


def _join_beats(results: list[tuple[_Span, Any]]) -> Seconds:
    """Return one rising sequence; of two beats closer than 0.15 s at a seam, the earlier stays."""
    parts = [np.empty(0)]
    for span, found in results:
        times = np.asarray(found, np.float64) + span.start_s - BIAS_S
        parts.append(times[(times >= span.keep_from_s) & (times < span.keep_to_s)])
    beats = np.concatenate(parts)
    return beats[np.diff(beats, prepend=-np.inf) > 0.15]  # noqa: PLR2004  400 BPM


def _windows(blocks: Iterable[Floats]) -> Iterator[tuple[Floats, _Span]]:
    """Yield overlapping windows; each keeps what is nearer to its own middle than to its neighbour's."""
    size, overlap = int(WINDOW_S * SAMPLE_RATE_HZ), int(OVERLAP_S * SAMPLE_RATE_HZ)
    margin_s = OVERLAP_S / 2
    pending: list[Floats] = []
    held, start = 0, 0
    for block in blocks:
        pending.append(block)
        held += len(block)
        # Waits for more than a window, so that the last window is never too short.
        if held < size + 2 * overlap:
            continue
        joined = np.concatenate(pending)
        # Before the yield, so that the blocks are not in memory beside the window while it is processed.
        pending = [joined[size - overlap :].copy()]
        yield joined[:size], _span(size, start, margin_s, margin_s)
        held, start = len(pending[0]), start + size - overlap
    if held:
        joined = np.concatenate(pending)
        pending.clear()
        yield joined, _span(held, start, margin_s, 0.0)


def _span(samples: int, start: int, lead_s: float, tail_s: float) -> _Span:
    start_s = start / SAMPLE_RATE_HZ
    end_s = start_s + samples / SAMPLE_RATE_HZ
    return _Span(start_s, start_s + lead_s if start else 0.0, end_s - tail_s)
