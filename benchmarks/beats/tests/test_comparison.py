"""The engine is compared with its peers, and a run with an earlier one, song by song."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.annotations import DatasetError
from benchmarks.beats.comparison import changes, interval, load_songs, paired
from benchmarks.beats.evaluation import Row
from benchmarks.beats.scores import Estimate, score
from benchmarks.beats.summary import as_json, row_json
from benchmarks.beats.tests.test_scores import BEATS, ITEM

PERFECT = score(ITEM, Estimate(BEATS, 120))


def _row(tracker: str, name: str, f: float) -> Row:
    return Row(tracker, name, "rock", 1, 60, replace(PERFECT, f=f))


def test_songs_are_paired():
    """Differences are the engine's minus the peer's; songs that the peer did not do are left out."""
    rows = [_row("engine", n, f) for n, f in (("a", 1.0), ("b", 0.5), ("c", 0.9), ("d", 0.0))]
    rows += [_row("peer", n, f) for n, f in (("c", 0.9), ("a", 0.4), ("b", 0.8))]
    (found,) = paired(rows, "engine")
    assert (found.peer, found.songs, found.better, found.worse) == ("peer", 3, 1, 1)
    assert found.difference == pytest.approx(0.1)
    assert found.low == pytest.approx(-0.3)
    assert found.high == pytest.approx(0.6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_interval_is_around_the_mean_and_repeatable(values):
    """The mean of the songs is inside, and the fixed seed gives the same interval again."""
    low, high = interval(values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == interval(values)


def test_two_runs_are_compared(tmp_path):
    """Only songs that changed are listed; means are over the songs that both runs have."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(as_json([_row("engine", "a", 0.5), _row("engine", "b", 0.7)], [])))
    rows = [_row("engine", "a", 0.9), _row("engine", "b", 0.7), _row("engine", "c", 0.1)]
    text = changes(load_songs(path), {(r.tracker, r.group, r.name): row_json(r) for r in rows})
    assert "| engine | rock | 2 | +0.200 |" in text
    assert "| engine | rock | a | 0.500 → 0.900 |" in text
    assert "| engine | rock | b |" not in text
    assert "Only in the old run: 0, only in the new run: 1." in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"tracks": [{}]}', '{"tracks": 1}'])
def test_a_file_that_is_no_result_is_refused(tmp_path, content):
    """The message has the file's name."""
    path = tmp_path / "old.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"old\.json"):
        load_songs(path)
