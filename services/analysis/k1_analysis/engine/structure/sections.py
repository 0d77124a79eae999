"""Finds the section boundaries of a song, and labels the sections.

Boundaries are downbeats where the bars before and after differ by more than each side varies in itself: a novelty
curve (Foote, ICME 2000) of bars instead of frames.
In electronic music the strong return of the bass is a boundary too, however much the bars before it vary, as in a
build.
Labels come from the sound: bass and drums enter strongly at a drop and leave at a breakdown, and a build rises towards
a drop. In songs without these, parts that recur are verses and choruses, and others are plain sections.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from k1_analysis.engine.audio.features import Features
from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Floats, Seconds
from k1_analysis.engine.audio.tonal import RATE_HZ, Tonal
from k1_contracts.genesis import ENVELOPE_RATE_HZ

Label = Literal["intro", "verse", "build", "drop", "breakdown", "chorus", "outro", "section"]

SHORTEST_S = 4.0
COMPARED_BARS = 4
"""Bars before and after a boundary that are compared: phrases are four or eight bars long."""
NOVEL = 0.7
"""Distance between the two sides, in units of their spread, that makes a boundary."""
_APART_BARS = 2
_SILENT = 1e-12
_MOTION_WEIGHT = 2.0
"""Weight of the spread within a bar (how much is played) against the mean (what is played)."""
_MIN_VARIANCE = 0.05
"""Summed over the bands. Without it, after exact repetition every small change would be a boundary."""
_BARLESS_S = 2.0
"""Length of a bar in a song without beats."""
BASS_STEP_DB = 6.0
"""Rise of the bass that makes a drop, and fall that makes a breakdown."""
FULL_BASS_DB = 2.5
"""Greatest difference between the bass of a drop and that of the part with the most bass."""
FORCE_DB = 4.0
"""Rise of bass and mids together, from one bar to the next, that is a strong return of the bass."""
RETURN_DB = 1.5
"""Rise from the bars before to the bars after, which is more than one silent bar in four makes."""
ENERGY_STEP = 0.1
HIGH_ENERGY = 0.7
LOW_ENERGY = 0.5
OPENING_MARGIN = 0.15
LONGEST_OPENING = 0.35
"""A first or last part that takes more of the song than this is not an intro or outro."""
RISE_DB = 2.0
"""A part whose last third is louder than its first by this much rises."""
_SAME_PART = 0.9
_QUIETEST_DB = -60.0


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the song. Energy is relative to the song: 1 is its fullest part."""

    start_s: float
    end_s: float
    label: Label
    energy: float


@dataclass(frozen=True, slots=True)
class _Part:
    """The sound of one section."""

    start_s: float
    end_s: float
    bands_db: tuple[float, float, float]
    level_db: float
    onsets: float
    rise_db: float
    """Level of the last third above that of the first third."""
    returned: bool
    """The bass returns strongly at its start."""
    timbre: Floats


def find_sections(
    features: Features,
    tonal: Tonal,
    downbeats: Seconds,
    duration_s: float,
    *,
    electronic: bool,
    vocabulary: tuple[str, ...] = (),
) -> list[Section]:
    """Return labelled sections that cover the song from 0 to `duration_s`.

    Args:
        features: of the song.
        tonal: of the song.
        downbeats: the bar lines, of which some become boundaries; without any, a bar lasts two seconds.
        duration_s: the song's length.
        electronic: the tempo is constant, so that drops, builds and breakdowns make sense.
        vocabulary: the labels that the chosen preset allows; all when empty.
    """
    bars = downbeats if len(downbeats) > 1 else np.arange(0, duration_s, _BARLESS_S)
    bass_returns = _bass_returns(features, bars) if electronic else np.zeros(len(bars), dtype=bool)
    edges = _with_ends(_boundaries(features.log_bands, bars, bass_returns), duration_s)
    parts = [
        _describe(start, end, features, tonal, returned=start in bars[bass_returns])
        for start, end in pairwise(edges)
    ]
    energies = _energies(parts)
    labels = _labels(parts, energies, electronic=electronic)
    return [
        Section(
            part.start_s, part.end_s, label if not vocabulary or label in vocabulary else "section", energy
        )
        for part, energy, label in zip(parts, energies, labels, strict=True)
    ]


def _boundaries(log_bands: Floats, bars: Seconds, bass_returns: NDArray[np.bool_]) -> Seconds:
    """Return the bar lines at which the bass returns, or the novelty has a peak above NOVEL."""
    novelty = _novelty(_bar_features(log_bands, bars))
    width = 2 * _APART_BARS + 1
    peaks = (novelty > NOVEL) & (novelty >= maximum_filter1d(novelty, width, mode="constant"))
    near = maximum_filter1d(bass_returns, width).astype(bool)
    return bars[bass_returns | (peaks & ~near)]


def _bass_returns(features: Features, bars: Seconds) -> NDArray[np.bool_]:
    """Return (bars,): whether the bass returns in full after a bar with much less, and louder bars follow."""
    bass, mids = (_bar_power(features.envelopes.bands[:, band], bars) for band in (0, 1))
    level = bass + mids  # without the highs, because a riser is there
    fullest = max(_mean_power(bass, bar, COMPARED_BARS) for bar in range(len(bars)))
    bass_returns = np.zeros(len(bars), dtype=bool)
    for bar in range(1, len(bars)):
        before = _mean_power(level, max(0, bar - COMPARED_BARS), min(bar, COMPARED_BARS))
        bass_returns[bar] = (
            _db(bass[bar], bass[bar - 1]) >= BASS_STEP_DB
            and _db(min(bass[bar], _mean_power(bass, bar, COMPARED_BARS)), fullest) >= -FULL_BASS_DB
            and _db(level[bar], level[bar - 1]) >= FORCE_DB
            and _db(_mean_power(level, bar, COMPARED_BARS), before) >= RETURN_DB
        )
    return bass_returns


def _bar_power(levels: Floats, bars: Seconds) -> Seconds:
    """Return (bars,): mean power of each bar; the last lasts to the end of the song."""
    points = np.minimum(np.round(bars * ENVELOPE_RATE_HZ).astype(int), len(levels) - 1)
    lengths = np.maximum(np.diff(points, append=len(levels)), 1)
    return np.add.reduceat(levels.astype(np.float64) ** 2, points) / lengths


def _mean_power(powers: Seconds, first: int, count: int) -> float:
    return float(powers[first : first + count].mean())


def _db(power: float, reference: float) -> float:
    return float(10 * np.log10((power + _SILENT) / (reference + _SILENT)))


def _bar_features(log_bands: Floats, bars: Seconds) -> Seconds:
    """Return (bars, 164): mean and weighted spread of each band over each bar; the last is as long as that before."""
    length = bars[-1] - bars[-2] if len(bars) > 1 else _BARLESS_S
    frames = np.round(np.append(bars, bars[-1] + length) * FRAME_RATE_HZ).astype(int)
    rows = [
        log_bands[min(first, len(log_bands) - 1) : max(first + 1, last)] for first, last in pairwise(frames)
    ]
    return np.stack([np.concatenate([row.mean(axis=0), _MOTION_WEIGHT * row.std(axis=0)]) for row in rows])


def _novelty(rows: Seconds) -> Seconds:
    """Return (bars,): distance between the means of the bars before and from each, in units of their spread."""
    novelty = np.zeros(len(rows))
    for bar in range(1, len(rows)):
        before, after = rows[max(0, bar - COMPARED_BARS) : bar], rows[bar : bar + COMPARED_BARS]
        spread = (before.var(axis=0).sum() + after.var(axis=0).sum()) / 2 + _MIN_VARIANCE
        novelty[bar] = np.linalg.norm(before.mean(axis=0) - after.mean(axis=0)) / np.sqrt(spread)
    return novelty


def _with_ends(boundaries: Seconds, duration_s: float) -> list[float]:
    """Return 0, the boundaries that leave no section shorter than SHORTEST_S, and the end."""
    edges = [0.0]
    for boundary in sorted(boundaries.tolist()):
        if boundary - edges[-1] >= SHORTEST_S and duration_s - boundary >= SHORTEST_S:
            edges.append(boundary)
    return [*edges, duration_s]


def _describe(start_s: float, end_s: float, features: Features, tonal: Tonal, *, returned: bool) -> _Part:
    span = _span(start_s, end_s, ENVELOPE_RATE_HZ, len(features.envelopes.rms))
    onset_span = _span(start_s, end_s, FRAME_RATE_HZ, len(features.onsets))
    level, bands = features.envelopes.rms[span], features.envelopes.bands[span]
    third = max(1, len(level) // 3)
    timbre_span = _span(start_s, end_s, RATE_HZ, len(tonal.mfcc))
    return _Part(
        start_s=start_s,
        end_s=end_s,
        bands_db=(_power_db(bands[:, 0]), _power_db(bands[:, 1]), _power_db(bands[:, 2])),
        level_db=_power_db(level),
        onsets=float(features.onsets[onset_span].mean()),
        rise_db=_power_db(level[-third:]) - _power_db(level[:third]),
        returned=returned,
        timbre=np.concatenate(
            [tonal.mfcc[timbre_span].mean(axis=0) / 10, _unit(tonal.chroma[timbre_span].mean(axis=0))]
        ),
    )


def _span(start_s: float, end_s: float, rate_hz: int, total: int) -> slice:
    start = min(int(start_s * rate_hz), total - 1)
    return slice(start, max(start + 1, min(int(end_s * rate_hz), total)))


def _power_db(levels: Floats) -> float:
    return max(_QUIETEST_DB, float(10 * np.log10(np.mean(levels.astype(np.float64) ** 2) + _SILENT)))


def _unit(vector: Floats) -> Floats:
    centred = vector - vector.mean()
    return centred / (np.linalg.norm(centred) + 1e-9)


def _energies(parts: list[_Part]) -> list[float]:
    """Return 0..1 for each part: its level, bands and onsets between the song's least and greatest."""
    bands = [_scaled([part.bands_db[band] for part in parts], 20.0) for band in range(3)]
    level = _scaled([part.level_db for part in parts], 20.0)
    onsets = _scaled([part.onsets for part in parts], 1e-3)
    return ((level + sum(bands) + onsets) / 5).clip(0, 1).tolist()


def _scaled(values: list[float], least_range: float) -> Seconds:
    """Return 1 for the greatest value, falling to 0 over the range (at least `least_range`) of the values."""
    array = np.asarray(values)
    return 1 - (array.max() - array) / max(float(np.ptp(array)), least_range)


def _labels(parts: list[_Part], energies: list[float], *, electronic: bool) -> list[Label]:
    labels: list[Label | None] = [None] * len(parts)
    if electronic:
        _label_drops(labels, parts, energies)
    quieter = max(energies) - OPENING_MARGIN
    # The part before the first drop, or before a build with more energy, is the intro, whether it rises or not.
    leads = labels[1:2] == ["drop"] or (labels[1:2] == ["build"] and energies[1] > energies[0])
    opens = energies[0] < quieter or leads
    if parts[0].end_s < LONGEST_OPENING * parts[-1].end_s and opens:
        labels[0] = "intro"
    last_share = (parts[-1].end_s - parts[-1].start_s) / parts[-1].end_s
    if last_share < LONGEST_OPENING and energies[-1] < quieter and labels[-1] != "drop":
        labels[-1] = "outro"
    rest: list[Label] = ["section"] * len(parts) if electronic else _recurring(parts, energies, labels)
    return [label or other for label, other in zip(labels, rest, strict=True)]


def _label_drops(labels: list[Label | None], parts: list[_Part], energies: list[float]) -> None:
    """Mark drops, breakdowns and builds by how bass and energy change from part to part."""
    fullest_db = max(part.bands_db[0] for part in parts)
    for index, (before, after) in enumerate(pairwise(parts), start=1):
        bass_rise = after.bands_db[0] - before.bands_db[0]
        gain = energies[index] - energies[index - 1]
        climax = index + 1 == len(parts) or energies[index + 1] <= energies[index] + ENERGY_STEP
        comes = after.returned or bass_rise >= BASS_STEP_DB or gain >= ENERGY_STEP
        full = after.bands_db[0] >= fullest_db - FULL_BASS_DB
        if energies[index] >= HIGH_ENERGY and climax and comes and full:
            labels[index] = "drop"
        bass_left, much_less = -bass_rise >= BASS_STEP_DB, -gain >= 2 * ENERGY_STEP
        if (bass_left and much_less) or (energies[index] <= LOW_ENERGY and (bass_left or much_less)):
            labels[index] = "breakdown"
    for index in range(len(parts) - 1):
        full = energies[index] > LOW_ENERGY and labels[index] is None
        sorted_beats = parts[index].rise_db > RISE_DB or full
        if labels[index + 1] == "drop" and labels[index] in {None, "breakdown"} and sorted_beats:
            labels[index] = "build"


def _recurring(parts: list[_Part], energies: list[float], known: list[Label | None]) -> list[Label]:
    """Return verse or chorus for the parts without a label that resemble another such part, else section."""
    free = [index for index, label in enumerate(known) if label is None]
    recurring = [
        index
        for index in free
        if any(_resemble(parts[index], parts[other]) for other in free if other != index)
    ]
    if not recurring:
        return ["section"] * len(parts)
    threshold = float(np.median([energies[index] for index in recurring]))
    spread = float(np.ptp([energies[index] for index in recurring]))
    labels: list[Label] = ["section"] * len(parts)
    for index in recurring:
        labels[index] = "chorus" if spread > 0.1 and energies[index] > threshold else "verse"  # noqa: PLR2004
    return labels


def _resemble(first: _Part, second: _Part) -> bool:
    norms = np.linalg.norm(first.timbre) * np.linalg.norm(second.timbre)
    return float(first.timbre @ second.timbre) > _SAME_PART * float(norms)
