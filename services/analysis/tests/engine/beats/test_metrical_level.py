"""The contrast of kick and snare."""

import numpy as np

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.beats import metrical_level

FAST = songs.steady(190.0, 30.0, offset_s=0.4)
SLOW_MEASURES = FAST[::2]


def _hits(beats: np.ndarray, hertz: float, noise: float) -> songs.Samples:
    """A drum at each beat: a sine below noise, of which no two are the same."""
    rng = np.random.default_rng(1)
    times = np.arange(int(0.12 * songs.RATE)) / songs.RATE
    out = np.zeros(32 * songs.RATE, np.float32)
    for beat in beats:
        hit = np.sin(2 * np.pi * hertz * times) + rng.normal(0, noise, len(times))
        start = round(beat * songs.RATE)
        out[start : start + len(hit)] += 0.3 * hit * np.exp(-30 * times)
    return out


def _kicks() -> songs.Samples:
    """A kick on each fast beat, and nothing that distinguishes one from the next."""
    return _hits(FAST, 60, 0.2)


def _with_backbeat() -> songs.Samples:
    """The same, with a snare on every other slow beat."""
    return _kicks() + _hits(SLOW_MEASURES[1::2], 200, 2.0)


def test_backbeat_is_far_from_chance() -> None:
    """Alternating kick and snare are far above the limit, equal beats and noise near zero."""
    noise = np.random.default_rng(0).uniform(0, 2, (3100, 82)).astype(np.float32)
    assert (
        metrical_level.backbeat(SLOW_MEASURES, extract(_with_backbeat()).log_bands)
        > 2 * metrical_level.BACKBEAT
    )
    assert (
        abs(metrical_level.backbeat(SLOW_MEASURES, extract(_kicks()).log_bands)) < metrical_level.BACKBEAT / 2
    )
    assert abs(metrical_level.backbeat(SLOW_MEASURES, noise)) < metrical_level.BACKBEAT / 2
