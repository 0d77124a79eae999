"""Scores, reliability tables and summaries are right."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.dataset import AnnotatedTrack, DatasetError, annotated_folder, read_beats
from benchmarks.beats.reliability import reliability
from benchmarks.beats.scores import Estimate, score
from benchmarks.beats.summary import Row, by_group, markdown

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
    assert "| a | 2 | 0.500 |" in markdown(rows, [])


def test_beats_files_are_read(tmp_path):
    """Times with or without positions; comments are skipped; the group is the folder."""
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz" / "a.wav").touch()
    (tmp_path / "jazz" / "a.beats").write_text("# by hand\n0.5 4\n1.0 1\n1.5 2\n")
    (item,) = annotated_folder(tmp_path)
    assert (item.group, item.beats.tolist()) == ("jazz", [0.5, 1.0, 1.5])
    assert item.downbeats is not None
    assert item.downbeats.tolist() == [1.0]


@pytest.mark.parametrize("text", ["", "1.0", "2.0\n1.0", "one\ntwo"])
def test_bad_annotations_are_refused(tmp_path, text):
    """An annotation that is not a rising list of times is rejected with its name."""
    path = tmp_path / "a.beats"
    path.write_text(text)
    with pytest.raises(DatasetError, match=r"a\.beats"):
        read_beats(path)


def test_a_folder_without_annotations_is_refused(tmp_path):
    """Nothing to evaluate is an error, not an empty table."""
    with pytest.raises(DatasetError, match="no audio file"):
        list(annotated_folder(tmp_path))
