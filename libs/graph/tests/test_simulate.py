"""A whole run: reports, pictures and the proof that optimising changes nothing."""

import json
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from k1_graph.colour import to_lab
from k1_graph.errors import GraphError
from k1_graph.executor.rendering import render
from k1_graph.recommendation.recommender import recommend
from k1_graph.reports.preview import PreviewStream, decode_preview, encode_png
from k1_graph.reports.simulation import simulate
from k1_graph.song import sample_song
from k1_graph.testing import graph_of, node, synthetic_map
from k1_graph.validation.validator import compile_graph

GENESIS = synthetic_map(8_000.0, bpm=128.0)
WASTEFUL = graph_of(
    node("beat", "MapBeat"),
    node("pulse", "BeatPulse", {"beat": "beat"}),
    node("again", "BeatPulse", {"beat": "beat"}),
    node("half", "ParamF", default=0.5),
    node("quarter", "Mul", {"a": "half", "b": "half"}),
    node("tint", "Hsv", {"h": "quarter", "s": "again", "v": "pulse"}),
    node("fill", "Fill", {"color": "tint"}),
    node("idle", "Blur", {"src": "fill"}, radius=5),
    node("strip", "LedOutputMirror", {"color": "fill"}),
)


def read_png(data: bytes) -> npt.NDArray[Any]:
    """An 8-bit RGB PNG with unfiltered rows, by the specification."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert int.from_bytes(data[at + 8 + size : at + 12 + size]) == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height = int.from_bytes(chunks[b"IHDR"][:4]), int.from_bytes(chunks[b"IHDR"][4:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_the_report_proves_that_optimising_changed_no_pixel() -> None:
    """Cheaper, smaller, identical; the artefacts carry the names of the API."""
    run = simulate(WASTEFUL, GENESIS)
    scale = json.loads(run.scale.to_json())
    assert scale["before_ms"] == pytest.approx((2 + 3 + 3 + 1 + 1 + 5 + 75 + 500 + 90) / 1000)
    assert scale["after_ms"] == pytest.approx((2 + 3 + 5 + 75 + 90) / 1000)
    assert scale["cpu_pct_before"] == pytest.approx(8.5)
    assert (scale["nodes_before"], scale["nodes_after"]) == (9, 5)
    assert scale["pixels_identical"] is True
    visual = json.loads(run.visual.to_json())
    assert (visual["pixelMismatchPct"], visual["maxDeltaLab"], visual["framesTested"]) == (0.0, 0.0, 400)
    assert set(run.optimised.nodes) - {"pulse", "again"} == {"beat", "tint", "fill", "strip"}


def test_the_same_run_twice_gives_the_same_bytes() -> None:
    """Reports and previews are deterministic."""
    assert simulate(WASTEFUL, GENESIS) == simulate(WASTEFUL, GENESIS)


def test_the_current_of_a_white_strip_is_60_mA_a_led() -> None:  # noqa: N802  the unit
    """180 white LEDs draw 10.8 A, mean and peak."""
    white = graph_of(
        node("tint", "ParamColor"),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    current = simulate(white, GENESIS).visual.current
    assert (current.mean_ma, current.peak_ma, current.ma_per_led) == (10_800.0, 10_800.0, 60.0)


def test_the_previews_show_what_was_rendered() -> None:
    """preview.bin gives every pixel back, preview.png one column a frame for a short song."""
    run = simulate(WASTEFUL, GENESIS)
    pixels = np.concatenate(list(render(WASTEFUL, sample_song(GENESIS))))
    assert np.array_equal(decode_preview(run.preview_bin), pixels)
    assert np.array_equal(read_png(run.preview_png), pixels.transpose(1, 0, 2))


def test_a_long_song_is_averaged_into_1800_columns() -> None:
    """A column is the mean of its frames."""
    genesis = synthetic_map(72_000.0, bpm=128.0)
    image = read_png(simulate(WASTEFUL, genesis).preview_png)
    pixels = np.concatenate(list(render(WASTEFUL, sample_song(genesis)))).astype(float)
    expected = pixels.reshape(1800, 2, 180, 3).mean(axis=1).transpose(1, 0, 2)
    assert image.shape == (180, 1800, 3)
    assert np.abs(image - expected).max() <= 0.5


@settings(max_examples=25)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(180), st.just(3))), st.integers(1, 9))
def test_any_pixels_survive_the_preview_format(pixels: npt.NDArray[Any], chunk: int) -> None:
    """Encoding in chunks and decoding is the identity."""
    stream = PreviewStream(len(pixels), symmetric=False)
    for first in range(0, len(pixels), chunk):
        stream.feed(pixels[first : first + chunk])
    assert np.array_equal(decode_preview(stream.finish()), pixels)


@pytest.mark.parametrize(
    "data", [b"", b"K1PV", b"x" * 40, b"K1PV\x01\x00\xb4\x002\x00\x00\x00\x05\x00\x00\x00junk"]
)
def test_a_damaged_preview_is_refused(data: bytes) -> None:
    """The error is a GraphError with a message, not an error of zlib."""
    with pytest.raises(GraphError):
        decode_preview(data)


def test_a_preview_that_claims_less_than_it_holds_is_refused() -> None:
    """A header of fewer frames does not unpack without bound."""
    stream = PreviewStream(1, symmetric=False)
    stream.feed(np.zeros((900, 180, 3), np.uint8))
    with pytest.raises(GraphError, match="its header says"):
        decode_preview(stream.finish())


def test_png_round_trip() -> None:
    """A small picture of known pixels."""
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(read_png(encode_png(picture)), picture)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_of_known_colours(rgb: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    """The published values of sRGB white, black, red and blue under D65."""
    assert np.allclose(to_lab(np.array(rgb, dtype=np.uint8)), expected, atol=0.02)


def test_a_strobe_fails_and_its_node_is_named() -> None:
    """The report has the number of flashes, their time and the node that causes them."""
    strobe = graph_of(
        node("saw", "PositionAccumulator", cycle_length=0.2),
        node("hard", "Contrast", {"x": "saw"}, amount=16.0),
        node("grey", "Hsv", {"v": "hard"}, s=0.0),
        node("fill", "Fill", {"color": "grey"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    found = simulate(strobe, GENESIS).visual.photosensitivity
    assert not found.passed
    assert found.general.max_flashes_per_second == 5.0
    assert (found.general.node, found.general.fraction) == ("saw", 1.0)


def test_a_graph_with_microphone_nodes_is_reported_as_approximated() -> None:
    """Both reports contain the note."""
    graph = graph_of(
        node("ear", "AudioSnapshot"),
        node("tint", "Hsv", {"v": "ear"}),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    run = simulate(graph, GENESIS)
    assert run.scale.approximations == run.visual.approximations
    assert "AudioSnapshot" in run.visual.approximations[0]


def test_a_recommended_show_runs_and_passes() -> None:
    """The simulation finds the recommended show of this song safe."""
    run = simulate(compile_graph(recommend(GENESIS, "edm").graph), GENESIS)
    assert run.visual.photosensitivity.passed
    assert run.scale.pixels_identical
