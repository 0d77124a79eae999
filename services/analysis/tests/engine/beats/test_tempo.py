"""Tempo to 0.01 BPM from inexact beats: constant grids, songs one after the other, and people who play."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats import tempo, tempo_grid

_ERROR_S = 0.005
"""Standard deviation of the beats that the engine finds in real songs, about."""


def _inexact(beats: Seconds, seed: int) -> Seconds:
    return beats + np.random.default_rng(seed).normal(0, _ERROR_S, len(beats))


def _joined(*songs: tuple[float, float]) -> Seconds:
    """Return the beats of songs of (BPM, seconds), one after the other."""
    intervals = [np.full(int(seconds * bpm / 60), 60 / bpm) for bpm, seconds in songs]
    return np.cumsum(np.concatenate(intervals))


@given(st.floats(60, 200), st.integers(0, 999))
@settings(max_examples=50)
def test_constant_grid_tells_a_hundredth(bpm: float, seed: int) -> None:
    """Two minutes of beats, each 5 ms off, give the tempo of the grid to 0.01 BPM."""
    beats = 0.3 + 60 / bpm * np.arange(round(2 * bpm), dtype=np.float64)
    found = tempo_grid.fit_grid(_inexact(beats, seed))
    assert found is not None
    assert 60 / found.period_s == pytest.approx(bpm, abs=0.01)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("songs", [((92.0, 60), (140.0, 60)), ((128.0, 40), (125.0, 50), (174.0, 60))])
def test_mix_of_inexact_beats_has_the_tempi_of_its_songs(
    songs: tuple[tuple[float, float], ...], seed: int
) -> None:
    """Beats that are 5 ms off hide no song of a mix, and each tempo is told to 0.03 BPM."""
    stretches = tempo.steady_stretches(_inexact(_joined(*songs), seed))
    assert [each.bpm for each in stretches] == pytest.approx([bpm for bpm, _ in songs], abs=0.03)


@pytest.mark.parametrize("seed", range(4))
def test_short_songs_of_a_mix_count(seed: int) -> None:
    """A third of the local tempi of these songs reach over a change; those are of no song, not against the mix."""
    stretches = tempo.steady_stretches(_inexact(_joined(*[(72.0, 20), (90.0, 20)] * 4), seed))
    assert tempo.distinct_tempi(stretches) == pytest.approx((72, 90), abs=0.3)


@pytest.mark.parametrize("seed", range(4))
def test_tempo_that_sways_is_not_several_tempi(seed: int) -> None:
    """Two per cent faster and slower every minute: what lies between the extremes is no sudden change."""
    sways = np.cumsum(0.5 * (1 + 0.02 * np.sin(np.arange(240) / 20)))
    assert tempo.steady_stretches(_inexact(sways, seed)) == []
    accelerates = np.cumsum(60 / np.linspace(100, 130, 240))
    assert tempo.steady_stretches(_inexact(accelerates, seed)) == []


@pytest.mark.parametrize("seed", range(4))
def test_tempo_of_inexact_beats(seed: int) -> None:
    """A song without a grid: two beats that move apart change the interval between them, not the tempo."""
    beats = _inexact(_inexact(0.375 * np.arange(200, dtype=np.float64), seed), seed + 99)
    beats[100:] += 0.17
    assert tempo.tempo(beats) == pytest.approx(160, abs=0.25)


@pytest.mark.parametrize(("count", "expected"), [(0, 0.0), (1, 0.0), (2, 120.0), (5, 120.0), (30, 120.0)])
def test_tempo_of_few_beats(count: int, expected: float) -> None:
    """Beats fewer than the local tempo spans have a tempo as soon as there are two."""
    assert tempo.tempo(0.5 * np.arange(count, dtype=np.float64)) == pytest.approx(expected)


@given(st.lists(st.floats(0.05, 4.0), max_size=60))
@example([1.3] * tempo.LOCAL_BEATS)
def test_any_beats_have_stretches_or_none(gaps: list[float]) -> None:
    """Also so few and slow beats that one window of them is a stretch."""
    stretches = tempo.steady_stretches(np.cumsum([0.0, *gaps]))
    assert all(60 / 4.001 <= each.bpm <= 60 / 0.049 for each in stretches)
