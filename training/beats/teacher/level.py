"""Decides the metrical level: the period at which a recording is counted, or none in doubt."""

from collections.abc import Mapping

import numpy as np

from k1_analysis.engine.audio.framing import FRAME_RATE_HZ, Seconds
from k1_analysis.engine.audio.times import strength_at
from training.beats.teacher.cues import Drums, fit_to_activation, fold_drums, grid_times, offbeat
from training.beats.teacher.evidence import Evidence

SLOWEST_BPM, FASTEST_BPM = 70.0, 200.0
USUAL_BPM = (110.0, 160.0)
"""Below, the double is as plausible; above, the half."""
SAME_PERIOD = 0.03
STRONG_KICK = 0.7
DRUMS_SETTLE = 0.35
"""Log ratio from which a fold of the drums counts."""
NOTHING_BETWEEN = 1.2
"""Log ratio from which nothing sounds between the beats."""
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "net": ("net",),
    "onsets": ("onsets",),
    "essentia": ("degara", "multifeature"),
}


def families_at(trackers: Mapping[str, Seconds], period_s: float) -> int:
    """Return how many families of trackers have a member with this median period."""
    return sum(
        any(
            len(trackers.get(name, ())) > 1
            and abs(float(np.median(np.diff(trackers[name]))) / period_s - 1) <= SAME_PERIOD
            for name in members
        )
        for members in FAMILIES.values()
    )


def drums_hold(drums: Drums) -> bool:
    """Return whether the drums alone make the level clear.

    Kick and snare take turns at the beats and are weaker between them, or the kick is at every beat and not between.
    """
    backbeat = drums.kick_alternates >= DRUMS_SETTLE and drums.snare_alternates >= DRUMS_SETTLE
    on_beats = drums.kick_at_beats >= DRUMS_SETTLE / 2 and drums.snare_at_beats >= DRUMS_SETTLE / 2
    four_on_floor = drums.kick_at_beats >= 2 * DRUMS_SETTLE and drums.kick_alternates <= DRUMS_SETTLE / 2
    return (backbeat and on_beats) or four_on_floor


def contradicts(drums: Drums, bpm: float) -> bool:
    """Return whether the fold shows that this is not the beat.

    The kick is between the beats; or a slow pulse has as much between the beats as at them, so that it may be half the
    tempo; or a fast one has no sound between them at all, or the snare with every other kick, as at half the tempo.
    """
    if bpm < USUAL_BPM[0]:
        return min(drums.kick_at_beats, drums.snare_at_beats) < DRUMS_SETTLE
    half_time = bpm >= 2 * SLOWEST_BPM and drums.snare_alternates <= -DRUMS_SETTLE
    return half_time or drums.silence_between >= NOTHING_BETWEEN or drums.kick_at_beats <= -STRONG_KICK


def choose_period(song: Evidence) -> float | None:
    """Return the period in seconds that trackers of two families hold, or one and the drums; None in doubt.

    Below USUAL_BPM all three families, or one and the drums, must hold it; above, the drums
    in any case.
    """
    base = float(np.median(np.diff(song.pulse)))
    held: list[tuple[float, float]] = []
    for factor in (0.5, 1.0, 2.0):
        period = base * factor
        bpm = 60 / period
        if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
            continue
        families = families_at(song.trackers, period)
        drums = fold_drums(song.features.onsets, _pulse_at(song, period))
        settled = drums_hold(drums)
        kicks = families == len(FAMILIES) and drums.kick_at_beats >= DRUMS_SETTLE
        if not families or (bpm > USUAL_BPM[1] and not (settled or kicks)):
            continue
        if families + 2 * settled >= (2 if bpm >= USUAL_BPM[0] else 3):
            held.append((families + 2 * settled, period))
    if not held:
        return None
    held.sort(reverse=True)
    if len(held) > 1 and held[0][0] - held[1][0] < 1:
        return None
    return held[0][1]


def _pulse_at(song: Evidence, period_s: float) -> Seconds:
    """Return the constant pulse at this period, in the phase with more kick and snare."""
    grid = fit_to_activation(song.activation[:, 0], period_s)
    duration_s = len(song.activation) / FRAME_RATE_HZ
    return max(
        (grid_times(each, duration_s) for each in (grid, offbeat(grid))),
        key=lambda times: float(strength_at(times, song.features.onsets[:, 0]).mean()),
    )
