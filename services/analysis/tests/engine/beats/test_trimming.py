"""Beats begin and end with the music: not in noise before it, not in the decay after it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.beats import trimming


def _kept(
    struck: list[bool],
    levels_db: list[float],
    beats: np.ndarray,
    *,
    activation: float = 0.9,
    notes: float = 3.0,
) -> list[float]:
    """Return the beats that stay of two beats a second, each struck or not, with a level until the next.

    Args:
        struck: which of them are.
        levels_db: from each to the next.
        beats: rising, two a second.
        activation: of the network at each.
        notes: strongest over median pitch class.
    """
    onsets = np.zeros(round(100 * (beats[-1] + 1)), np.float32)
    attacks = np.zeros(3 * len(onsets), np.float32)
    attacks[np.round(300 * beats[np.array(struck)] + 1).astype(int)] = 3
    rms = np.repeat(10 ** (np.array(levels_db) / 20), 10).astype(np.float32)
    chroma = np.ones((len(onsets) // 10, 12), np.float32)
    chroma[:, 0] = notes
    curves = trimming.SongCurves(onsets, attacks, np.full_like(onsets, activation), rms, chroma)
    return trimming.trim_to_music(beats, curves).tolist()


@pytest.mark.parametrize(
    ("struck", "levels_db", "kept"),
    [
        ("01111110", [-60, -10, -10, -10, -10, -10, -12, -30], slice(1, 7)),
        ("11110000", [-10, -10, -10, -10, -11, -11, -11, -11], slice(None)),
        ("11111000", [-10, -10, -10, -10, -11, -11, -20, -30], slice(0, 6)),
        ("00011111", [-25, -25, -20, -10, -10, -10, -10, -30], slice(None)),
        ("00011100", [-50, -70, -50, -10, -10, -10, -20, -40], slice(3, 6)),
        ("00000000", [-10, -10, -10, -10, -10, -20, -30, -40], slice(None)),
    ],
    ids=["noise and decay", "held chord", "chord, then decay", "soft opening", "both", "nothing struck"],
)
def test_beats_end_with_the_music(struck: str, levels_db: list[float], kept: slice) -> None:
    """Noise before the first struck beat and the decay after the last have no beats; soft and held music has."""
    beats = np.arange(8) / 2
    assert _kept([mark == "1" for mark in struck], levels_db, beats) == beats[kept].tolist()


@pytest.mark.parametrize(
    ("activation", "notes", "first"),
    [(0.3, 1.3, 4), (0.9, 1.3, 0), (0.3, 3.0, 0)],
    ids=["ticks of a worn record", "soft drums", "soft notes"],
)
def test_soft_music_is_kept_and_noise_is_not(activation: float, notes: float, first: int) -> None:
    """A struck lead-in before louder music has beats only if it has notes or a pulse."""
    beats = np.arange(12) / 2
    levels_db = [-45.0] * 4 + [-12.0] * 8
    assert _kept([True] * 12, levels_db, beats, activation=activation, notes=notes) == beats[first:].tolist()


@given(st.lists(st.tuples(st.booleans(), st.floats(-90, 0)), min_size=1, max_size=30))
@settings(max_examples=50)
def test_only_the_ends_are_removed(song: list[tuple[bool, float]]) -> None:
    """The remaining beats are consecutive, and include every struck one."""
    beats = np.arange(len(song)) / 2
    kept = _kept([struck for struck, _ in song], [level for _, level in song], beats)
    assert kept == beats[(beats >= kept[0]) & (beats <= kept[-1])].tolist()
    assert {beat for beat, (struck, _) in zip(beats.tolist(), song, strict=True) if struck} <= set(kept)


def _hiss(length: int) -> np.ndarray:
    return 10 ** (-55 / 20) * np.random.default_rng(2).standard_normal(length)


def _ticks(length: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    ticks = np.zeros(length)
    ticks[rng.integers(0, length, length // 5000)] = rng.uniform(-0.5, 0.5, length // 5000)
    return ticks + _hiss(length)


@pytest.mark.parametrize("noise", [_hiss, _ticks], ids=["hiss", "ticks"])
def test_noise_before_the_music_has_no_beats(tmp_path: Path, noise: Callable[[int], np.ndarray]) -> None:
    """Five seconds of hiss or of a record's ticks before a song get no beats, and the song keeps all of its beats."""
    beats = 5 + songs.steady(120.0, 20.0, 0.25)
    samples = np.concatenate([np.zeros(5 * songs.RATE, np.float32), songs.song(beats - 5)])
    path = songs.write(tmp_path / "song.wav", samples + noise(len(samples)))
    found = np.array(engine.analyse_file(path, filename="song.wav").genesis.layers.rhythm.beat_grid_ms) / 1000
    assert found[0] > 5.1
    assert np.abs(beats[:, None] - found[None, :]).min(axis=1).max() < 0.03
