"""Tests the scores of agreement against mir_eval."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from k1_analysis.engine.beats.agreement import scores

beat_lists = st.lists(st.floats(0.3, 1.2), min_size=4, max_size=60).map(np.cumsum)


@given(beat_lists, beat_lists)
@settings(max_examples=60)
def test_agreement_equals_mir_eval(reference: np.ndarray, estimate: np.ndarray) -> None:
    """F-measure and Cemgil's score equal mir_eval's on any two sequences."""
    import mir_eval.beat  # it takes seconds, which every worker of the suite would spend

    distances = np.abs(reference[:, None] - estimate)
    assume((np.abs(distances - scores.MATCH_WINDOW_S) > 1e-9).all())  # on its very edge rounding decides
    assert scores.f_measure(reference, estimate) == pytest.approx(
        mir_eval.beat.f_measure(reference, estimate), abs=1e-9
    )
    assert scores.cemgil(reference, estimate) == pytest.approx(
        min(1.0, mir_eval.beat.cemgil(reference, estimate)[0]), abs=1e-9
    )


@given(st.floats(0.3, 1.0), st.floats(-0.02, 0.02), st.integers(0, 1000))
@settings(max_examples=30)
def test_gain_and_continuity_agree_with_mir_eval(period: float, shift: float, seed: int) -> None:
    """On a jittered copy of a sequence, as trackers give, the other scores agree with mir_eval too.

    An error at the edge of a bin of the histogram may be in the next one, and with 34 beats that is .03 of the gain.
    """
    import mir_eval.beat  # it takes seconds, which every worker of the suite would spend

    reference = np.arange(6.0, 40.0, period)
    estimate = np.sort(reference + shift + np.random.default_rng(seed).normal(0, 0.01, len(reference)))
    ours = scores.compare(reference, estimate)
    theirs = mir_eval.beat.continuity(reference, estimate)
    assert (ours.cml_c, ours.cml_t, ours.aml_c, ours.aml_t) == pytest.approx(theirs, abs=0.06)
    assert ours.information_gain == pytest.approx(
        mir_eval.beat.information_gain(reference, estimate), abs=0.05
    )
