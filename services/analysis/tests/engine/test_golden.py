"""Songs with exact beats: the engine finds them."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rfc8785

from k1_analysis import engine
from k1_analysis.engine import testing as songs
from k1_analysis.engine.audio.times import nearest
from k1_analysis.engine.beats.agreement.scores import f_measure
from k1_contracts.genesis import GenesisMap


def _beats(analysis: engine.Analysis) -> np.ndarray:
    return np.array(analysis.genesis.layers.rhythm.beat_grid_ms) / 1000


def _median_error_ms(truth: np.ndarray, found: np.ndarray) -> float:
    return float(np.median(np.abs(found[nearest(found, truth)] - truth))) * 1000


def test_steady_song_is_exact_to_the_millisecond(
    house_beats: np.ndarray, house_analysis: engine.Analysis
) -> None:
    """A machine's beat gives a constant grid: every beat, 124.00 BPM, median error below 3 ms."""
    found = _beats(house_analysis)
    assert f_measure(house_beats, found) > 0.98
    assert _median_error_ms(house_beats, found) < 3
    assert house_analysis.genesis.global_metrics.bpm == pytest.approx(124.0, abs=0.05)


def test_downbeats_of_a_song_in_four(house_beats: np.ndarray, house_analysis: engine.Analysis) -> None:
    """Every fourth beat starts a bar and the signature says so."""
    downbeats = np.array(house_analysis.genesis.layers.rhythm.downbeat_ms) / 1000
    assert house_analysis.genesis.global_metrics.time_signature == "4/4"
    assert f_measure(house_beats[::4], downbeats) > 0.95


@pytest.mark.parametrize(
    ("name", "beats", "meter"),
    [
        ("drifting", np.cumsum(60 / (112 + 4 * np.sin(np.arange(70) / 9))), 4),
        ("waltz", songs.steady(138.0, 35.0, offset_s=0.2), 3),
        ("drum and bass", songs.steady(174.0, 35.0), 4),
    ],
)
def test_other_songs(tmp_path: Path, name: str, beats: np.ndarray, meter: int) -> None:
    """Drifting tempo, three in a bar and fast songs: F above 0.95, median error below 5 ms."""
    path = songs.write(tmp_path / "song.wav", songs.song(beats, meter))
    analysis = engine.analyse_file(path, filename=name)
    found = _beats(analysis)
    assert f_measure(beats, found) > 0.95
    assert _median_error_ms(beats, found) < 5
    assert analysis.genesis.global_metrics.time_signature == f"{meter}/4"


@pytest.mark.parametrize(
    ("bpm", "meter", "parts", "signature"),
    [(150.0, 5, 2, "5/4"), (140.0, 7, 2, "7/8"), (84.0, 2, 3, "6/8")],
)
def test_odd_and_compound_meters(tmp_path: Path, bpm: float, meter: int, parts: int, signature: str) -> None:
    """5/4, 7/8 and 6/8 are found, and their bars begin at the right beats."""
    beats = songs.steady(bpm, 45.0, offset_s=0.3)
    path = songs.write(tmp_path / "song.wav", songs.song(beats, meter, parts=parts))
    genesis = engine.analyse_file(path, filename="song.wav").genesis
    assert genesis.global_metrics.time_signature == signature
    assert f_measure(beats[::meter], np.array(genesis.layers.rhythm.downbeat_ms) / 1000) > 0.95


def test_quiet_song_gives_the_same_beats(
    tmp_path: Path, house_beats: np.ndarray, house_analysis: engine.Analysis
) -> None:
    """Sixty decibels less give the same beats."""
    quiet = songs.write(tmp_path / "quiet.wav", songs.song(house_beats) * np.float32(1e-3), subtype="FLOAT")
    found = _beats(engine.analyse_file(quiet, filename="quiet.wav"))
    assert f_measure(_beats(house_analysis), found) > 0.98
    assert _median_error_ms(house_beats, found) < 3


def test_preview_comes_before_the_rest(house: Path, house_beats: np.ndarray) -> None:
    """Progress rises to 100 and carries one preview with the opening's beats before it is half way."""
    seen: list[engine.Progress] = []
    engine.analyse_file(house, filename="house.wav", progress=seen.append)
    percents = [progress.percent for progress in seen if not progress.preview]
    previews = [progress for progress in seen if progress.preview]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert len(previews) == 1
    assert previews[0].percent < 50
    assert previews[0].preview is not None
    opening = house_beats[house_beats < 30]
    assert f_measure(opening, np.array(previews[0].preview.beat_grid_ms) / 1000) > 0.95


def test_preset_decides_the_metrical_level(tmp_path: Path) -> None:
    """Only a chosen preset moves the tempo: 174 BPM becomes 87 for hip hop, not by itself."""
    path = songs.write(tmp_path / "fast.wav", songs.song(songs.steady(174.0, 20.0)))
    free = engine.analyse_file(path, filename="fast.wav").genesis
    chosen = engine.analyse_file(path, filename="fast.wav", preset="hiphop").genesis
    assert free.global_metrics.bpm == pytest.approx(174, abs=0.3)
    assert chosen.global_metrics.bpm == pytest.approx(87, abs=0.3)
    assert chosen.metadata.analysis_config["preset"] == "hiphop"


def test_alternatives_offer_half_double_and_offbeat(house_analysis: engine.Analysis) -> None:
    """A person can choose another interpretation, the likeliest first; none is as likely as the map's own."""
    rhythm = house_analysis.genesis.layers.rhythm
    alternatives = rhythm.alternatives or []
    derived = [(other.kind, round(other.bpm)) for other in alternatives if not other.source]
    assert sorted(derived) == [("double", 248), ("half", 62), ("half", 62), ("offbeat", 124)]
    scores = [other.score for other in alternatives]
    assert scores == sorted(scores, reverse=True)
    assert rhythm.interpretation_score is not None
    assert rhythm.interpretation_score > scores[0]
    for other in alternatives:
        assert set(other.downbeat_ms or []) <= set(other.beat_grid_ms)
        assert len(other.downbeat_ms or []) == pytest.approx(len(rhythm.downbeat_ms), abs=1)


def test_f_measure_is_agreement_and_names_its_reference(house_analysis: engine.Analysis) -> None:
    """Without human beats the figure is the agreement of independent trackers."""
    metrics = house_analysis.genesis.global_metrics
    assert metrics.f_measure_reference == "consensus"
    assert metrics.f_measure == house_analysis.metrics["f_measure"]
    assert house_analysis.metrics["chosen_tracker"] != house_analysis.metrics["independent_tracker"]


def test_map_hash_covers_the_content(house_analysis: engine.Analysis) -> None:
    """The hash is SHA-256 of the canonical JSON without the timestamp and itself."""
    document = json.loads(house_analysis.genesis_json)
    assert rfc8785.dumps(document) == house_analysis.genesis_json
    declared = document["metadata"]["hashes"].pop("map_sha256")
    document["metadata"].pop("timestamp_utc")
    assert declared == hashlib.sha256(rfc8785.dumps(document)).hexdigest()
    assert GenesisMap.model_validate_json(house_analysis.genesis_json) == house_analysis.genesis


def test_same_song_same_bytes(house: Path, house_analysis: engine.Analysis) -> None:
    """A second run and another process, with other hash seeds, give the same bytes."""
    again = engine.analyse_file(house, filename="house.wav", timestamp_utc="2026-01-01T00:00:00.000Z")
    program = (
        "import sys; from pathlib import Path; from k1_analysis import engine\n"
        "analysis = engine.analyse_file(Path(sys.argv[1]), filename='house.wav',"
        " timestamp_utc='2026-01-01T00:00:00.000Z')\n"
        "sys.stdout.buffer.write(analysis.genesis_json)\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", program, str(house)],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "PATH": ""},
    )
    assert again.genesis_json == house_analysis.genesis_json
    assert other.stdout == house_analysis.genesis_json


def test_timestamp_and_only_it_leaves_the_hash_alone(house: Path, house_analysis: engine.Analysis) -> None:
    """Another time gives the same hash, another name another."""
    later = engine.analyse_file(house, filename="renamed.wav", timestamp_utc="2030-01-01T00:00:00.000Z")
    document = json.loads(house_analysis.genesis_json)
    assert later.genesis.metadata.hashes.pcm_sha256 == house_analysis.genesis.metadata.hashes.pcm_sha256
    assert later.genesis.metadata.hashes.map_sha256 != document["metadata"]["hashes"]["map_sha256"]
    assert later.genesis.layers == house_analysis.genesis.layers
