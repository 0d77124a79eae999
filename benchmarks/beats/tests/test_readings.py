"""Each kind of error of a tracker has its own name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.readings import doubled, error_kind, f_any_level, halves, midpoints

BEATS = np.arange(0.5, 60, 0.5)
FLIPPING = np.sort(np.concatenate([BEATS[BEATS < 32], midpoints(BEATS)[midpoints(BEATS) > 32]]))


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (BEATS, None),
        (midpoints(BEATS), "phase"),
        (FLIPPING, "phase"),
        (BEATS[::2], "half"),
        (midpoints(BEATS)[::2], "half"),
        (doubled(BEATS), "double"),
        (np.arange(0.5, 60, 0.37), "other"),
        (np.empty(0), "other"),
    ],
    ids=["right", "offbeat", "flips", "half", "half offbeat", "double", "other tempo", "none"],
)
def test_each_error_has_its_name(found, kind):
    """The other readings are recognised, also where the phase flips in the middle of the song."""
    assert error_kind(BEATS, found) == kind


@given(st.floats(0.3, 1.0), st.floats(0, 0.3))
def test_any_level_forgives_the_level_and_not_the_phase(period, start):
    """Half in either phase and double are full marks; the midpoints are not."""
    beats = np.arange(start, 60, period)
    for reading in (beats, *halves(beats), doubled(beats)):
        assert f_any_level(beats, reading) == pytest.approx(1)
    assert f_any_level(beats, midpoints(beats)) < 0.9
