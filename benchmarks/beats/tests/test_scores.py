"""Scores, reliability tables and summaries are right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.dataset import AnnotatedTrack
from benchmarks.beats.evaluation import Row, run
from benchmarks.beats.reliability import calibrations, plot, reliability
from benchmarks.beats.report import markdown
from benchmarks.beats.scores import Estimate, score
from benchmarks.beats.summary import by_group

BEATS = np.arange(0.5, 60, 0.5)
ITEM = AnnotatedTrack(
    "song", "rock", Path("song.flac"), BEATS, BEATS[::4], np.array([0.5, 20.5, 40.5, 60.0]), "C# minor", "4/4"
)


def test_the_truth_scores_full_marks():
    """An estimate equal to the truth is perfect in every column."""
    scores = score(
        ITEM, Estimate(BEATS, 120, BEATS[::4], ITEM.sections, "Db minor", "4/4", 1.0, np.ones(len(BEATS)))
    )
    assert (scores.f, scores.cemgil, scores.cmlt, scores.amlt, scores.downbeat_f) == pytest.approx(
        (1, 1, 1, 1, 1)
    )
    assert (scores.section_f_05, scores.section_f_3, scores.key, scores.metre) == (1, 1, 1, 1)
    assert set(scores.errors_ms) == {0.0}
    assert all(hit for _, hit in scores.beat_hits)


@given(st.floats(-0.06, 0.06))
def test_timing_errors_keep_their_sign(shift):
    """Late beats have positive errors, in milliseconds."""
    scores = score(ITEM, Estimate(BEATS + shift, 120))
    assert np.median(scores.errors_ms) == pytest.approx(1000 * shift, abs=1e-6)


def test_twice_the_tempo_is_an_octave_error():
    """Double tempo fails the strict tempo and CMLt, and passes the lenient tempo and AMLt."""
    scores = score(ITEM, Estimate(np.arange(0.5, 60, 0.25), 240))
    assert (scores.tempo_1, scores.tempo_2) == (0, 1)
    assert scores.cmlt < 0.1
    assert scores.amlt > 0.9


def test_missing_estimates_have_no_score():
    """A tracker without downbeats, sections or key is not marked down for it; no beats score nothing."""
    scores = score(ITEM, Estimate(np.empty(0), 0))
    assert (scores.downbeat_f, scores.section_f_3, scores.key, scores.confidence) == (None, None, None, None)
    assert (scores.f, scores.errors_ms) == (0, ())


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=200))
def test_reliability_loses_no_case(cases):
    """Every case lies in the bin of its confidence, the edge 1.0 included."""
    table = reliability([c for c, _ in cases], [o for _, o in cases])
    assert table is not None
    assert sum(b.count for b in table.bins) == len(cases)
    assert all(b.low - 1e-9 <= b.confidence <= b.high + 1e-9 for b in table.bins)


def test_groups_add_up():
    """Each group has its means, `all` has those of every track, and the report names every tracker."""
    right, wrong = score(ITEM, Estimate(BEATS, 120)), score(ITEM, Estimate(BEATS + 0.25, 120))
    rows = [Row("a", "one", "rock", 1, 60, right), Row("a", "two", "jazz", 3, 60, wrong)]
    table = by_group(rows)["a"]
    assert [table[g].scores["f"] for g in ("rock", "jazz", "all")] == [1, 0, 0.5]
    assert table["all"].seconds_per_minute == 2
    assert "| a | 2 | 0 | 0.500 |" in markdown(rows, [])


UNCERTAIN = replace(ITEM, level_uncertain=True, downbeats=None)


@pytest.mark.parametrize("phase", [0, 1])
def test_half_the_tempo_is_right_where_the_level_is_uncertain(phase):
    """Every other beat, in either phase, scores full marks; the F at the annotated level is kept beside it."""
    half = Estimate(BEATS[phase::2], 60)
    scores = score(UNCERTAIN, half)
    assert (scores.f, scores.cmlt, scores.tempo_1, scores.error) == (1, 1, 1, None)
    assert scores.f_annotated == pytest.approx(score(ITEM, half).f)
    assert scores.f_annotated < 0.7


def test_double_the_tempo_is_wrong_even_where_the_level_is_uncertain():
    """Only half the tempo is as good an answer; the best F of any level shows double as right."""
    scores = score(UNCERTAIN, Estimate(np.arange(0.5, 59.6, 0.25), 240))
    assert (scores.tempo_1, scores.error) == (0, "double")
    assert scores.f_any == pytest.approx(1)


def test_confidence_is_compared_inside_each_section():
    """A section that is right and one in the wrong phase have their own mean confidence and F."""
    beats = np.where(BEATS < 30, BEATS, BEATS + 0.25)
    confidence = np.where(BEATS < 30, 0.9, 0.3)
    estimate = Estimate(beats, 120, sections=np.array([0.0, 30.0, 61.0]), beat_confidence=confidence)
    (right, wrong) = score(ITEM, estimate).section_hits
    assert right == pytest.approx((0.9, 1.0))
    assert wrong == pytest.approx((0.3, 0.0))


def test_a_tracker_that_raises_is_a_failure_without_beats(tmp_path):
    """One song that a tracker cannot do does not end the run, and the report counts it."""
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros(44_100), 44_100)

    def broken(path: Path) -> Estimate:
        raise RuntimeError("no beats")

    (row,) = run(replace(ITEM, path=path), {"broken": broken})
    assert (row.failed, row.scores.f) == (True, 0)
    assert "| broken | 1 | 1 | 0.000 |" in markdown([row], [])


def test_unmeasured_times_are_said_to_be_so():
    """Rows without a time give no seconds per minute."""
    rows = [Row("a", "one", "rock", None, 60, score(ITEM, Estimate(BEATS, 120)))]
    assert by_group(rows)["a"]["all"].seconds_per_minute is None
    assert "not measured" in markdown(rows, [])


def test_calibration_is_split_by_kind_of_song_and_tempo():
    """Real and generated songs, and songs with and without a constant tempo, have their own tables."""
    rows = [
        Row(
            "a",
            name,
            "rock",
            1,
            60,
            score(ITEM, Estimate(BEATS, 120, confidence=0.9, tempo_confidence=0.5, constant_tempo=constant)),
            generated=generated,
        )
        for name, constant, generated in (
            ("a", True, False),
            ("b", False, False),
            ("c", None, False),
            ("d", True, True),
        )
    ]
    counts = {
        (c.songs, c.tempo): sum(b.count for b in c.table.bins)
        for c in calibrations(rows)
        if c.level == "track"
    }
    assert counts == {
        ("real", "all"): 3,
        ("real", "grid"): 1,
        ("real", "free"): 1,
        ("generated", "all"): 1,
        ("generated", "grid"): 1,
    }
    gaps = {c.level: c.table.expected_error for c in calibrations(rows)}
    assert gaps == pytest.approx({"track": 0.1, "tempo": 0.5})


def test_the_plot_has_real_and_generated_songs(tmp_path):
    """The plot is drawn for rows of both kinds."""
    rows = [
        Row(
            "a",
            "a",
            "rock",
            1,
            60,
            score(ITEM, Estimate(BEATS, 120, confidence=0.9, constant_tempo=True)),
            generated=g,
        )
        for g in (True, False)
    ]
    plot(calibrations(rows), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
