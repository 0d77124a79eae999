"""The drums decide between a tempo and its half, and between the beat and the offbeat."""

import numpy as np
import pytest

from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import Features, extract
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


def _activation(features: Features, between: float) -> np.ndarray:
    """1 at the slow beats, `between` at the others."""
    activation = np.zeros(len(features.log_bands), np.float32)
    activation[np.round(FAST * 100).astype(int)] = between
    activation[np.round(SLOW_MEASURES * 100).astype(int)] = 1
    return activation


def test_every_other_beat_becomes_every_beat() -> None:
    """If drums and activation continue between the beats, and there is no backbeat, the tempo is doubled."""
    features = extract(_kicks())
    found = metrical_level.to_double_tempo(SLOW_MEASURES, features, _activation(features, 0.8))
    assert found[1:-1] == pytest.approx(FAST[: len(found) - 2])
    assert np.diff(found) == pytest.approx(60 / 190)


@pytest.mark.parametrize(
    ("samples", "between", "beats"),
    [
        (_with_backbeat(), 0.8, SLOW_MEASURES),
        (_kicks(), 0.1, SLOW_MEASURES),
        (_hits(SLOW_MEASURES, 60, 0.2), 0.8, SLOW_MEASURES),
        (_kicks(), 0.8, FAST),
        (_kicks(), 0.8, SLOW_MEASURES[:10]),
    ],
    ids=["backbeat", "network silent", "drums silent", "fast already", "too short"],
)
def test_other_songs_keep_their_tempo(samples: songs.Samples, between: float, beats: np.ndarray) -> None:
    """One reason against twice the tempo is enough."""
    features = extract(samples)
    assert (
        metrical_level.to_double_tempo(beats, features, _activation(features, between)).tolist()
        == beats.tolist()
    )


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


OFFBEATS = (FAST[1:] + FAST[:-1]) / 2


def test_beats_between_the_kicks_move_onto_them() -> None:
    """Two trackers of three and the kick outweigh the one that found the offbeats."""
    found = metrical_level.shift_to_kick(OFFBEATS, [FAST, FAST, OFFBEATS], extract(_kicks()))
    assert found == pytest.approx(FAST)


@pytest.mark.parametrize(
    ("beats", "others"),
    [
        (OFFBEATS, [FAST, OFFBEATS, OFFBEATS]),
        (OFFBEATS, [FAST]),
        (OFFBEATS, []),
        (FAST, [OFFBEATS, OFFBEATS]),
    ],
    ids=["outvoted", "one alone", "no other", "on the kick already"],
)
def test_neither_kick_nor_votes_alone_move_the_beats(beats: np.ndarray, others: list[np.ndarray]) -> None:
    """Basses between the kicks, and trackers that follow them, change nothing."""
    assert metrical_level.shift_to_kick(beats, others, extract(_kicks())).tolist() == beats.tolist()
