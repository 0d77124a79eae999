"""Where a song changes, and what to call the parts.

Boundaries come from the Bayesian information criterion on MFCC (Essentia's SBic) and are moved to downbeats.
Labels come from what is heard: a drop is where bass and drums come in with force, a breakdown where they leave,
a build what rises towards a drop. Where a song shows none of these, its parts are verses and choruses if they
come back, else plain sections.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from k1_analysis.engine.features import ENVELOPE_RATE_HZ, Features
from k1_analysis.engine.framing import Floats, Seconds
from k1_analysis.engine.tonal import RATE_HZ, Tonal
from k1_analysis.engine.trackers import load_essentia

Label = Literal["intro", "verse", "build", "drop", "breakdown", "chorus", "outro", "section"]

SHORTEST_S = 4.0
_SNAP_S = 2.0
# Chosen on songs with known sections; cpw is touchy.
_SBIC: dict[str, Any] = {"cpw": 3, "inc1": 12, "inc2": 4, "size1": 60, "size2": 40, "minLength": 10}
_FEWEST_FRAMES = 120
BASS_STEP_DB = 6.0
"""Bass that comes in by this much makes a drop, bass that leaves by it a breakdown."""
ENERGY_STEP = 0.1
HIGH_ENERGY = 0.7
LOW_ENERGY = 0.5
OPENING_MARGIN = 0.15
LONGEST_OPENING = 0.35
"""A first or last part that takes more of the song than this is no intro or outro."""
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
    """What is heard in one section."""

    start_s: float
    end_s: float
    bands_db: tuple[float, float, float]
    level_db: float
    onsets: float
    rise_db: float
    """Level of the last third above that of the first third."""
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
    """The song cut into labelled sections that cover it from 0 to `duration_s`.

    Args:
        features: of the song.
        tonal: of the song.
        downbeats: times to which boundaries move when near.
        duration_s: the song's length.
        electronic: the tempo is a machine's, so that drops, builds and breakdowns make sense.
        vocabulary: the labels that the chosen preset allows; all when empty.
    """
    edges = _with_ends(_snapped(_boundaries(tonal.mfcc), downbeats), duration_s)
    parts = [_describe(start, end, features, tonal) for start, end in pairwise(edges)]
    energies = _energies(parts)
    labels = _labels(parts, energies, electronic=electronic)
    return [
        Section(
            part.start_s, part.end_s, label if not vocabulary or label in vocabulary else "section", energy
        )
        for part, energy, label in zip(parts, energies, labels, strict=True)
    ]


def _boundaries(mfcc: Floats) -> Seconds:
    if len(mfcc) < _FEWEST_FRAMES or float(mfcc.std(axis=0).min()) < 1e-6:  # noqa: PLR2004  a constant sound
        return np.empty(0)
    frames = load_essentia().SBic(**_SBIC)(np.ascontiguousarray(mfcc.T, np.float32))
    return np.asarray(frames, np.float64)[1:-1] / RATE_HZ


def _snapped(boundaries: Seconds, downbeats: Seconds) -> Seconds:
    if not len(downbeats):
        return boundaries
    nearest = downbeats[np.abs(downbeats[None, :] - boundaries[:, None]).argmin(axis=1)]
    return np.where(np.abs(nearest - boundaries) <= _SNAP_S, nearest, boundaries)


def _with_ends(boundaries: Seconds, duration_s: float) -> list[float]:
    """0, the boundaries that leave no section shorter than SHORTEST_S, and the end."""
    edges = [0.0]
    for boundary in sorted(boundaries.tolist()):
        if boundary - edges[-1] >= SHORTEST_S and duration_s - boundary >= SHORTEST_S:
            edges.append(boundary)
    return [*edges, duration_s]


def _describe(start_s: float, end_s: float, features: Features, tonal: Tonal) -> _Part:
    span = _span(start_s, end_s, ENVELOPE_RATE_HZ, len(features.envelopes.rms))
    onset_span = _span(start_s, end_s, 100, len(features.onsets))
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
        timbre=np.concatenate(
            [tonal.mfcc[timbre_span].mean(axis=0) / 10, _unit(tonal.chroma[timbre_span].mean(axis=0))]
        ),
    )


def _span(start_s: float, end_s: float, rate_hz: int, total: int) -> slice:
    start = min(int(start_s * rate_hz), total - 1)
    return slice(start, max(start + 1, min(int(end_s * rate_hz), total)))


def _power_db(levels: Floats) -> float:
    return max(_QUIETEST_DB, float(10 * np.log10(np.mean(levels.astype(np.float64) ** 2) + 1e-12)))


def _unit(vector: Floats) -> Floats:
    centred = vector - vector.mean()
    return centred / (np.linalg.norm(centred) + 1e-9)


def _energies(parts: list[_Part]) -> list[float]:
    """0..1 for each part: its level, bands and onsets between the song's least and most."""
    bands = [_scaled([part.bands_db[band] for part in parts], 20.0) for band in range(3)]
    level = _scaled([part.level_db for part in parts], 20.0)
    onsets = _scaled([part.onsets for part in parts], 1e-3)
    return ((level + sum(bands) + onsets) / 5).clip(0, 1).tolist()


def _scaled(values: list[float], least_range: float) -> Seconds:
    """1 for the greatest value, falling to 0 over the range (at least `least_range`) of the values."""
    array = np.asarray(values)
    return 1 - (array.max() - array) / max(float(np.ptp(array)), least_range)


def _labels(parts: list[_Part], energies: list[float], *, electronic: bool) -> list[Label]:
    labels: list[Label | None] = [None] * len(parts)
    if electronic:
        _label_drops(labels, parts, energies)
    quieter = max(energies) - OPENING_MARGIN
    if parts[0].end_s < LONGEST_OPENING * parts[-1].end_s and energies[0] < quieter:
        labels[0] = "intro"
    last_share = (parts[-1].end_s - parts[-1].start_s) / parts[-1].end_s
    if last_share < LONGEST_OPENING and energies[-1] < quieter and labels[-1] != "drop":
        labels[-1] = "outro"
    rest: list[Label] = ["section"] * len(parts) if electronic else _recurring(parts, energies, labels)
    return [label or other for label, other in zip(labels, rest, strict=True)]


def _label_drops(labels: list[Label | None], parts: list[_Part], energies: list[float]) -> None:
    """Mark drops, breakdowns and builds by how bass and energy change from part to part."""
    for index, (before, after) in enumerate(pairwise(parts), start=1):
        bass_rise = after.bands_db[0] - before.bands_db[0]
        gain = energies[index] - energies[index - 1]
        climax = index + 1 == len(parts) or energies[index + 1] <= energies[index] + ENERGY_STEP
        if energies[index] >= HIGH_ENERGY and climax and (bass_rise >= BASS_STEP_DB or gain >= ENERGY_STEP):
            labels[index] = "drop"
        elif energies[index] <= LOW_ENERGY and (-bass_rise >= BASS_STEP_DB or -gain >= 2 * ENERGY_STEP):
            labels[index] = "breakdown"
    for index in range(len(parts) - 1):
        rising = parts[index].rise_db > RISE_DB or energies[index] > LOW_ENERGY
        if labels[index + 1] == "drop" and labels[index] in {None, "breakdown"} and rising:
            labels[index] = "build"


def _recurring(parts: list[_Part], energies: list[float], known: list[Label | None]) -> list[Label]:
    """Verse or chorus for the parts without a label that resemble another such part, else section."""
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
