"""Metrical level, accents and tempi of songs that earlier versions analysed wrongly, and the warnings about doubt."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.features import extract
from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.audio.tonal import TonalExtractor
from k1_analysis.engine.beats import metrical_level, tempo
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_analysis.engine.structure import bars


def _analysed(folder: Path, samples: np.ndarray) -> engine.Analysis:
    return engine.analyse_file(songs.write(folder / "song.wav", samples), filename="song.wav")


def _codes(analysis: engine.Analysis) -> set[str]:
    return {warning.code for warning in analysis.warnings}


def test_slow_metronome_is_not_doubled(tmp_path: Path) -> None:
    """Sixty clicks a minute are 60 BPM, and each click is a beat."""
    clicks = songs.steady(60.0, 25.0, 0.5)
    genesis = _analysed(tmp_path, songs.metronome(clicks, 26.0)).genesis
    assert genesis.global_metrics.bpm == pytest.approx(60, abs=0.1)
    assert f_measure(clicks, np.array(genesis.layers.rhythm.beat_grid_ms) / 1000) > 0.95


@pytest.mark.parametrize(("bpm", "accented"), [(128.0, 4), (150.0, 3)])
def test_accent_of_a_metronome_begins_the_bar(tmp_path: Path, bpm: float, accented: int) -> None:
    """The higher and louder click is the downbeat, and gives the meter."""
    clicks = songs.steady(bpm, 20.0, 0.5)
    genesis = _analysed(tmp_path, songs.metronome(clicks, 21.0, accented)).genesis
    assert genesis.global_metrics.time_signature == f"{accented}/4"
    found = np.array(genesis.layers.rhythm.downbeat_ms) / 1000
    assert f_measure(clicks[::accented], found) > 0.95


def test_backbeat_is_no_accent() -> None:
    """Alternating kick and snare, or too few clicks for four bars, are not accents."""
    beats = songs.steady(120.0, 19.0, 0.5)
    backbeat = extract(songs.drums(120.0, 20.0, kick=(0, 2), snare=(1, 3), hats=2)).log_bands
    clicks = extract(songs.metronome(beats, 20.0)).log_bands
    numbers = np.arange(len(beats))
    assert not bars.find_accents(beats, numbers, backbeat).any()
    assert bars.find_accents(beats, numbers, clicks).tolist() == (numbers % 4 == 0).tolist()
    assert not bars.find_accents(beats[:6], numbers[:6], clicks).any()


@given(st.integers(2, 60), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_meter_needs_four_of_its_bars(count: int, seed: int) -> None:
    """However the beats sound, a meter other than four needs a song with four of its bars."""
    samples = 0.3 * np.random.default_rng(seed).standard_normal(int((0.12 * count + 0.2) * songs.RATE))
    samples = samples.astype(np.float32)
    features, tones = extract(samples), TonalExtractor()
    tones.push(samples)
    beats: Seconds = 0.1 + 0.12 * np.arange(count, dtype=np.float64)
    activation = np.random.default_rng(seed).random(len(features.log_bands)).astype(np.float32)
    found = bars.find_bars(beats, features, tones.finish(), activation)
    assert found.beats_per_bar == 4 or count >= 4 * found.beats_per_bar


def test_drum_and_bass_passes_although_others_count_in_half(tmp_path: Path) -> None:
    """Every beat is right, and kick and snare alternate: an independent tracker at half the tempo agrees."""
    analysis = _analysed(tmp_path, songs.drums(174.0, 20.0, kick=(0, 2.5), snare=(1, 3), hats=2))
    metrics = analysis.genesis.global_metrics
    assert metrics.bpm == pytest.approx(174, abs=0.2)
    independent = analysis.metrics["independent_tracker"]
    assert analysis.metrics["tracker_bpm"][independent] == pytest.approx(87, abs=2)
    assert metrics.f_measure > 0.95
    assert _codes(analysis) == set()


def test_ballad_with_busy_hats_is_not_doubled(tmp_path: Path) -> None:
    """Sixteenths of the hats are not beats: kick and snare alternate at 62 BPM."""
    metrics = _analysed(
        tmp_path, songs.drums(62.0, 30.0, kick=(0, 2), snare=(1, 3), hats=4)
    ).genesis.global_metrics
    assert metrics.bpm == pytest.approx(62, abs=0.1)
    assert metrics.f_measure > 0.95


def test_half_time_groove_is_in_doubt(tmp_path: Path) -> None:
    """A kick and a snare in a bar at 142 BPM may be 71: the trackers' agreement alone does not pass the gate."""
    analysis = _analysed(tmp_path, songs.drums(142.0, 25.0, kick=(0,), snare=(2,), hats=2))
    metrics = analysis.genesis.global_metrics
    assert metrics.bpm == pytest.approx(142, abs=0.2)
    assert metrics.f_measure < 0.8
    assert metrics.confidence is not None
    assert metrics.confidence < 0.9
    assert metrics.tempo_confidence <= 0.5
    assert _codes(analysis) == {"level_in_doubt"}
    assert "71.0 BPM" in analysis.warnings[0].message


FAST = songs.steady(124.0, 28.0, 0.5)
BALLAD = songs.drums(62.0, 29.0, kick=(0, 2), snare=(1, 3), hats=4)
ROCK = songs.drums(124.0, 29.0, kick=(0, 2), snare=(1, 3), hats=2)


@pytest.mark.parametrize(
    ("samples", "beats", "kept"),
    [
        (BALLAD, FAST, FAST[::2]),
        (ROCK, FAST, FAST),
        (BALLAD, FAST[:12], FAST[:12]),
        (songs.drums(72.0, 29.0, kick=(0, 2), snare=(1, 3), hats=4), songs.steady(144.0, 28.0, 0.5), None),
        (songs.metronome(FAST[::2], 29.0), FAST, FAST[::2]),
        (songs.metronome(FAST[1::2], 29.0), FAST, FAST[1::2]),
    ],
    ids=[
        "ballad",
        "rock",
        "too short",
        "half-time groove",
        "silent between",
        "silent between, from the second",
    ],
)
def test_beats_without_a_drum_are_dropped(
    samples: np.ndarray, beats: np.ndarray, kept: np.ndarray | None
) -> None:
    """Every other beat is dropped if it has no sound, or only cymbals in a slow song; other beats stay."""
    features = extract(samples.astype(np.float32))
    found = metrical_level.to_half_tempo(beats, features, np.ones(len(features.onsets), np.float32))
    assert found.tolist() == (beats if kept is None else kept).tolist()


Song = tuple[float, int]
"""Beats per minute, and seconds."""
tempi = st.sampled_from([90.0, 100.0, 112.0, 120.0, 128.0, 140.0, 174.0])
mixes = st.lists(st.tuples(tempi, st.integers(20, 40)), min_size=2, max_size=4)
CUT_AT_AN_INEXACT_BEAT = [
    ([(120.0, 37), (112.0, 37)], 0),
    ([(128.0, 30), (112.0, 30), (120.0, 30), (112.0, 30)], 45),
    ([(112.0, 22), (120.0, 22)], 67),
]
"""A stretch began with a period that reached 0.9 % into the song before, and 0.1 % of jitter ended it."""
EQUALLY_LONG = [
    ([(120.0, 30), (174.0, 30)] * 2, 30),
    ([(112.0, 28), (120.0, 28)] * 2, 25),
]
"""The songs of both tempi last equally long, or differ by less than a beat."""


@given(mixes, st.integers(0, 99))
@settings(max_examples=40)
@example(*CUT_AT_AN_INEXACT_BEAT[0])
@example(*CUT_AT_AN_INEXACT_BEAT[1])
@example(*CUT_AT_AN_INEXACT_BEAT[2])
@example(*EQUALLY_LONG[0])
@example(*EQUALLY_LONG[1])
def test_a_mix_has_the_tempi_of_its_songs(mix: list[Song], seed: int) -> None:
    """Songs one after the other: each tempo once, within 0.1 %, and the main one is that which lasts longest.

    The ends of a song are known to within a beat, because the local tempo is an average over eight beats. So of tempi
    whose lengths differ by less than a beat for each song, each may be the main one.
    """
    mix = [
        song for song, before in zip(mix, [None, *mix], strict=False) if not before or song[0] != before[0]
    ]
    counts = [int(seconds * bpm / 60) for bpm, seconds in mix]
    intervals = np.concatenate(
        [np.full(count, 60 / bpm) for (bpm, _), count in zip(mix, counts, strict=True)]
    )
    jitter = np.random.default_rng(seed).normal(0, 0.002, len(intervals) + 1)
    stretches = tempo.steady_stretches(np.concatenate([[0], np.cumsum(intervals)]) + jitter)
    if len(mix) == 1:
        assert stretches == []
        return
    lasting = dict.fromkeys((bpm for bpm, _ in mix), 0.0)
    for (bpm, _), count in zip(mix, counts, strict=True):
        lasting[bpm] += count * 60 / bpm
    assert tempo.distinct_tempi(stretches) == pytest.approx(tuple(lasting), rel=1e-3)
    main = tempo.main_tempo(stretches)
    assert main is not None
    [main_s] = [seconds for bpm, seconds in lasting.items() if main == pytest.approx(bpm, rel=1e-3)]
    assert main_s >= max(lasting.values()) - sum(60 / bpm for bpm, _ in mix)


def test_people_who_play_have_one_tempo() -> None:
    """A band that drifts, a slow acceleration and a short song are no mixes."""
    drifting = np.cumsum(60 / (112 + 4 * np.sin(np.arange(240) / 9)))
    faster = np.cumsum(60 / np.linspace(100, 120, 240))
    for beats in (drifting, faster, drifting[:10], np.empty(0)):
        assert tempo.steady_stretches(beats) == []
        assert tempo.distinct_tempi([]) == ()
        assert tempo.main_tempo([]) is None


def test_map_of_a_mix_names_its_tempi(tmp_path: Path) -> None:
    """The map's tempo is that of the longest song, not the median of all beats, and a warning names the tempi."""
    mix = [
        songs.song(songs.steady(bpm, length_s))
        for bpm, length_s in ((120.0, 22.0), (132.0, 16.0), (160.0, 18.0))
    ]
    analysis = _analysed(tmp_path, np.concatenate(mix))
    assert analysis.genesis.global_metrics.bpm == pytest.approx(120, abs=0.1)
    assert _codes(analysis) == {"several_tempi"}
    assert "120.0, 132.0 and 160.0 BPM" in analysis.warnings[0].message
