"""Tests the written map: milliseconds, hash, time signature; and pictures and clicks for people."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_analysis.engine import Analysis
from k1_analysis.engine.output.genesis_map import milliseconds, with_map_hash
from k1_analysis.engine.output.rendering import plot_map, render_clicks, write_beats
from k1_analysis.engine.structure.bars import Bars
from k1_contracts.genesis import GenesisMap


@given(st.floats(0, 5000))
def test_milliseconds_have_one_decimal(seconds: float) -> None:
    """Times are within 0.05 ms and have no binary tail."""
    rounded = milliseconds(seconds)
    assert abs(rounded - seconds * 1000) <= 0.05 + 1e-6
    assert rounded == round(rounded, 1)


def test_map_hash_ignores_only_the_timestamp() -> None:
    """The hash changes with the content and not with the timestamp."""

    def digest(name: str, at: str) -> str:
        metadata = {"filename": name, "timestamp_utc": at, "hashes": {"audio_sha256": "a", "map_sha256": ""}}
        return json.loads(with_map_hash({"metadata": metadata, "layers": {}}))["metadata"]["hashes"][
            "map_sha256"
        ]

    assert digest("a", "1") == digest("a", "2") != digest("b", "1")


def test_signature_of_compound_time() -> None:
    """Two beats that divide into three are 6/8; seven beats are 7/8."""
    nothing = np.zeros(0, bool)
    assert Bars(nothing, 7, compound=False, score=0).time_signature == "7/8"
    assert Bars(nothing, 2, compound=True, score=0).time_signature == "6/8"
    assert Bars(nothing, 2, compound=False, score=0).time_signature == "2/4"


def test_pictures_clicks_and_beats(tmp_path: Path, house: Path, house_analysis: Analysis) -> None:
    """The plot is a PNG whatever the song is called, the clicks a WAV of its length, the beats read back."""
    genesis: GenesisMap = house_analysis.genesis
    odd = genesis.metadata.model_copy(update={"filename": "Ke$ha $\\frac{$ [/x] \x1b[31m \udce9 日本語.wav"})
    plot_map(genesis.model_copy(update={"metadata": odd}), house, tmp_path / "plot.png")
    render_clicks(house, genesis, tmp_path / "clicks.wav")
    write_beats(genesis, tmp_path / "song.beats")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "clicks.wav").stat().st_size == pytest.approx(house.stat().st_size, rel=0.01)
    times, positions = np.loadtxt(tmp_path / "song.beats").T
    assert (times * 1000).tolist() == pytest.approx(genesis.layers.rhythm.beat_grid_ms)
    assert set(positions[4:].astype(int)) == {1, 2, 3, 4}
