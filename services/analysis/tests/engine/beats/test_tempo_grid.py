"""Tests the constant grid of beats: what it survives, and when it is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis.engine.audio import framing
from k1_analysis.engine.beats import tempo_grid


@given(st.floats(0.3, 1.0), st.floats(0, 2), st.sets(st.integers(0, 59), max_size=8), st.integers(0, 99))
@settings(max_examples=50)
def test_grid_survives_missing_and_jittered_beats(
    period: float, start: float, missing: set[int], seed: int
) -> None:
    """The period is within 0.1 %, although some beats are missing and all have errors of milliseconds."""
    kept = [index for index in range(60) if index not in missing]
    jitter = np.random.default_rng(seed).normal(0, 0.004, len(kept))
    found = tempo_grid.fit_grid(np.sort(start + period * np.array(kept) + jitter))
    assert found is not None
    assert found.period_s == pytest.approx(period, rel=1e-3)
    times = found.times(start, start + 59 * period)
    assert len(times) in {59, 60, 61}
    assert np.diff(times)[1:] == pytest.approx(found.period_s)


def test_grid_is_refused_where_the_tempo_drifts() -> None:
    """A drummer's drift of some per cent gives no constant grid."""
    assert tempo_grid.fit_grid(np.cumsum(60 / (120 + 6 * np.sin(np.arange(80) / 12)))) is None


def test_grid_is_refused_where_sure_beats_leave_it_for_a_while() -> None:
    """Sixteen beats 40 ms late are a drift if their activation is high; otherwise the tracker erred."""
    beats: framing.Seconds = 0.5 * np.arange(120, dtype=np.float64)
    beats[60:84] += 0.04
    found = tempo_grid.fit_grid(beats)
    assert found is not None
    assert found.drifts(beats, np.ones(120, bool))
    assert not found.drifts(beats, (np.arange(120) < 60) | (np.arange(120) >= 84))
    assert not found.drifts(beats[:70], np.ones(70, bool))
