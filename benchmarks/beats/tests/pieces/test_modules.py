"""Beats of tracker modules: rows and patterns, modules whose rows say nothing, and a module that is played."""

from collections.abc import Iterator, Sequence
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.beats.pieces.annotation import PieceBeats
from benchmarks.beats.pieces.module_beats import read_beats
from benchmarks.beats.pieces.modules import module_files, within_sound
from benchmarks.beats.pieces.openmpt import SAMPLE_RATE_HZ, NoModuleError, Player, Row

TICK_S = 0.02


def played(patterns: Sequence[int], ticks: Sequence[int] = (6,)) -> Iterator[Row]:
    """Yield the rows of patterns of these numbers of rows; the lengths of the rows alternate."""
    second, count = 0.0, 0
    for order, rows in enumerate(patterns):
        for number in range(rows):
            lasts = ticks[count % len(ticks)]
            yield Row(second, order, number, lasts)
            second, count = second + lasts * TICK_S, count + 1


@pytest.mark.parametrize("ticks", [3, 6])
def test_a_beat_has_24_ticks(ticks: int) -> None:
    """At six ticks a row, four rows; at three, eight."""
    found = read_beats(list(played([64, 64], (ticks,))))
    assert found is not None
    assert found.seconds == pytest.approx(np.arange(len(found.seconds)) * 24 * TICK_S)
    assert found.positions[:5] == (1, 2, 3, 4, 1)


def test_patterns_of_threes_have_bars_of_three() -> None:
    found = read_beats(list(played([36, 36])))
    assert found is not None
    assert found.positions[:4] == (1, 2, 3, 1)


def test_a_bar_begins_with_a_pattern_also_after_one_that_was_cut_short() -> None:
    """The cut pattern has 15 beats and two rows; the beat that it would have there is not one."""
    found = read_beats(list(played([*[64] * 12, 62, 64])))
    assert found is not None
    assert found.positions[12 * 16 + 14 :][:3] == (3, 4, 1)
    assert np.diff(found.seconds).min() == pytest.approx(12 * TICK_S)


@pytest.mark.parametrize(
    ("patterns", "ticks"),
    [
        pytest.param([64, 64], (7, 5), id="shuffle"),
        pytest.param([64, 64], (5,), id="no whole number of rows"),
        pytest.param([58, 58], (6,), id="no whole number of beats"),
        pytest.param([28, 28], (6,), id="sevens"),
        pytest.param([64], (6,), id="one pattern"),
        pytest.param([], (6,), id="nothing"),
    ],
)
def test_rows_that_do_not_say_where_the_beats_are(patterns: Sequence[int], ticks: Sequence[int]) -> None:
    assert read_beats(list(played(patterns, ticks))) is None


@given(st.lists(st.integers(0, 70), max_size=8), st.lists(st.integers(0, 31), min_size=1, max_size=3))
def test_beats_rise_and_each_has_a_place(patterns: Sequence[int], ticks: Sequence[int]) -> None:
    found = read_beats(list(played(patterns, ticks)))
    if found is not None:
        assert len(found.seconds) == len(found.positions)
        assert (np.diff(found.seconds) > 0).all()
        assert set(found.positions) <= {1, 2, 3, 4}


def test_beats_without_sound_are_left_out() -> None:
    audio = np.zeros((4 * SAMPLE_RATE_HZ, 2), np.float32)
    audio[SAMPLE_RATE_HZ : 3 * SAMPLE_RATE_HZ] = 0.5
    beats = PieceBeats((0.0, 1.0, 2.0, 3.5), (1, 2, 3, 4))
    assert within_sound(beats, audio) == PieceBeats((1.0, 2.0), (2, 3))
    assert within_sound(beats, np.zeros_like(audio)) == PieceBeats((), ())


def test_copies_count_once(tmp_path: Path) -> None:
    for name in ("one.mod", "two.XM", "other.txt"):
        (tmp_path / name).write_bytes(b"same")
    assert [content for _, content in module_files([tmp_path])] == [b"same"]


def protracker_module(patterns: int) -> bytes:
    """Return a module of four channels with a click on every fourth row: one sample of a falling square wave."""
    click = bytes(100 if i % 16 < 8 else 156 for i in range(512))
    header = b"clicks".ljust(20, b"\0")
    sample = b"click".ljust(22, b"\0") + (len(click) // 2).to_bytes(2, "big") + b"\0\x40\0\0\0\x01"
    empty = bytes(28) + b"\0\x01"
    order = bytes([patterns, 127]) + bytes(128) + b"M.K."
    note = bytes([0x01, 0xAC, 0x10, 0x00])
    pattern = b"".join((note if row % 4 == 0 else bytes(4)) + bytes(12) for row in range(64))
    return header + sample + empty * 30 + order + pattern + click


@pytest.mark.skipif(find_library("openmpt") is None, reason="libopenmpt is not installed")
def test_a_module_is_played_with_its_beats() -> None:
    """125 BPM: a beat every .48 s, and the sound of the click at each."""
    player = Player()
    content = protracker_module(patterns=3)
    assert player.duration_s(content) == pytest.approx(3 * 64 * 0.12, abs=0.05)
    module = player.play(content, most_s=10.0)
    found = read_beats(module.rows)
    assert found is not None
    assert found.seconds[:3] == pytest.approx((0.0, 0.48, 0.96), abs=0.002)
    loud = np.flatnonzero(np.abs(module.audio).max(axis=1) > 0.01) / SAMPLE_RATE_HZ
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-1.0) > 0.2)]
    assert starts[:3] == pytest.approx(found.seconds[:3], abs=0.005)
    with pytest.raises(NoModuleError):
        player.play(b"no module", most_s=1.0)
