"""Finds silences, dynamic range and the loudest moments in the level envelope."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k1_analysis.engine.audio.features import Envelopes
from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_contracts.genesis import ENVELOPE_RATE_HZ

SILENCE_DBFS = -60.0
"""Quieter than this is silence, unless the whole song is quiet."""
SILENCE_EDGE_S = 1 / ENVELOPE_RATE_HZ
"""How far a beat may be inside a marked silence: the edges are no finer than a point of the envelope, and the beat
that ends a silence is often found a frame early."""
_BELOW_LOUDEST_DB = 50.0
_SHORTEST_SILENCE_S = 0.5
_LOWEST_DBFS = -90.0
_PEAK_SPACING_S = 1.0
_PEAK_PERCENTILE = 90


def decibels(levels: Floats) -> Floats:
    """Return the levels in decibels relative to full scale, not below _LOWEST_DBFS."""
    floor = np.float32(10 ** (_LOWEST_DBFS / 20))
    return 20 * np.log10(np.maximum(levels, floor))


def mean_db(rms: Floats, starts: Seconds, ends: Seconds) -> Seconds:
    """Return (n,) decibels of the mean power from each start to its end, at least one point long."""
    power = np.concatenate([[0.0], np.cumsum(rms.astype(np.float64) ** 2)])
    first = (starts * ENVELOPE_RATE_HZ).astype(int).clip(0, len(rms) - 1)
    last = np.maximum((ends * ENVELOPE_RATE_HZ).astype(int), first + 1).clip(max=len(rms))
    mean = np.maximum((power[last] - power[first]) / (last - first), 10 ** (2 * _LOWEST_DBFS / 20))
    return 10 * np.log10(mean)


def silence_threshold_db(rms: Floats) -> float:
    """Return SILENCE_DBFS, or 50 dB below the loudest moment of a song that is quieter than most."""
    return min(SILENCE_DBFS, float(decibels(rms).max()) - _BELOW_LOUDEST_DB)


def find_silences(envelopes: Envelopes, duration_s: float) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of every silence of half a second and more."""
    quiet = decibels(envelopes.rms) <= max(silence_threshold_db(envelopes.rms), _LOWEST_DBFS)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(np.int8)))
    spans = edges.reshape(-1, 2) / ENVELOPE_RATE_HZ
    return [
        (float(start), min(float(end), duration_s))
        for start, end in spans
        if min(float(end), duration_s) - start >= _SHORTEST_SILENCE_S
    ]


@dataclass(frozen=True, slots=True)
class AudibleRange:
    """The time in which a song sounds, in seconds: from `start_s` to `end_s` without the silences between."""

    start_s: float
    end_s: float
    silences: list[tuple[float, float]]
    """The silences that the map marks, in order."""

    def covers(self, times: Seconds) -> NDArray[np.bool_]:
        """Return (n,): whether each time is in the audible part, or within SILENCE_EDGE_S of it."""
        inside = (times >= self.start_s - SILENCE_EDGE_S) & (times <= self.end_s + SILENCE_EDGE_S)
        if not self.silences:
            return inside
        starts, ends = np.array(self.silences).T
        last = np.searchsorted(starts, times) - 1
        silent = (times > starts[last] + SILENCE_EDGE_S) & (times < ends[last] - SILENCE_EDGE_S)
        return inside & ~((last >= 0) & silent)


def find_audible(spans: list[tuple[float, float]], duration_s: float) -> AudibleRange:
    """Return the audible range of a song with these silences; 0 to 0 for a silent song."""
    start, end = 0.0, duration_s
    if spans and spans[0][0] == 0:
        start = spans[0][1]
    if spans and spans[-1][1] >= duration_s - 1 / ENVELOPE_RATE_HZ:
        end = spans[-1][0]
    return AudibleRange(start, end, spans) if end > start else AudibleRange(0.0, 0.0, spans)


def dynamic_range_db(envelopes: Envelopes) -> float:
    """Return the decibels between the 95th and the 10th percentile of the level, without silence."""
    level = decibels(envelopes.rms)
    audible = level[level > silence_threshold_db(envelopes.rms)]
    return float(np.subtract(*np.percentile(audible, [95, 10]))) if len(audible) else 0.0


def loudest_moments(envelopes: Envelopes) -> Seconds:
    """Return (N, 2): time in seconds and level of local maxima in the top tenth, at least a second apart."""
    reach = int(_PEAK_SPACING_S * ENVELOPE_RATE_HZ)
    rms = envelopes.rms
    floor = max(float(np.percentile(rms, _PEAK_PERCENTILE)), 10 ** (SILENCE_DBFS / 20))
    found: list[int] = []
    for index in np.flatnonzero(rms >= floor).tolist():
        around = rms[max(0, index - reach) : index + reach + 1]
        if rms[index] == around.max() and (not found or index - found[-1] >= reach):
            found.append(index)
    moments = np.empty((len(found), 2))
    moments[:, 0] = np.array(found) / ENVELOPE_RATE_HZ
    moments[:, 1] = rms[found]
    return moments
