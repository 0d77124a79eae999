"""The photosensitivity check on constructed sequences, 50 frames a second."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from k1_graph.colour import srgb_to_linear_table
from k1_graph.reports.flashes import MAX_TRANSITIONS, count_flashes
from k1_graph.reports.photosensitivity import PhotosensitivityCheck, causing_node
from k1_graph.song import sample_song
from k1_graph.testing import graph_of, node, synthetic_map

Array = npt.NDArray[Any]
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)
SECONDS = 4


def square(
    per_second: float, on: tuple[int, int, int], off: tuple[int, int, int], leds: slice = slice(None)
) -> Array:
    """A square wave on some LEDs, the others dark."""
    frames = np.arange(SECONDS * 50)
    lit = (frames * per_second / 50.0) % 1.0 < 0.5
    pixels = np.zeros((len(frames), 180, 3), dtype=np.uint8)
    pixels[:, leds] = np.where(lit[:, None, None], on, off)
    return pixels


def grey_for(luminance: float) -> int:
    """The 8-bit grey nearest to a relative luminance."""
    return int(np.abs(srgb_to_linear_table() - luminance).argmin())


def worst(pixels: Array, *, red: bool = False, chunk: int = 64) -> int:
    """Opposing changes in the worst second."""
    chunks = [pixels[first : first + chunk] for first in range(0, len(pixels), chunk)]
    return int(count_flashes(chunks, red=red).transitions.max())


@pytest.mark.parametrize(
    ("per_second", "passes"), [(2, True), (3, True), (4, False), (5, False), (10, False), (25, False)]
)
def test_up_to_three_flashes_a_second_pass(per_second: int, *, passes: bool) -> None:
    """Two and three pass, four and more fail, in white and in saturated red."""
    assert worst(square(per_second, WHITE, BLACK)) == 2 * per_second
    assert (worst(square(per_second, WHITE, BLACK)) <= MAX_TRANSITIONS) is passes
    assert (worst(square(per_second, RED, BLACK), red=True) <= MAX_TRANSITIONS) is passes


def test_the_count_does_not_depend_on_the_chunks() -> None:
    """Windows reach across chunks."""
    pixels = square(4, WHITE, BLACK)
    assert {worst(pixels, chunk=size) for size in (1, 7, 50, 200)} == {8}


@pytest.mark.parametrize(("leds", "counts"), [(45, False), (46, True)])
def test_only_more_than_a_quarter_of_the_leds_counts(leds: int, *, counts: bool) -> None:
    """45 of 180 LEDs are a quarter and pass, 46 are more."""
    assert (worst(square(4, WHITE, BLACK, slice(0, leds))) == 8) is counts


def test_a_pale_red_is_no_red_flash_and_grey_neither() -> None:
    """Saturated means R / (R + G + B) >= 0.8 in linear light."""
    assert worst(square(4, (255, 160, 160), BLACK), red=True) == 0
    assert worst(square(4, WHITE, BLACK), red=True) == 0


def test_a_dim_red_stays_below_the_threshold_of_20() -> None:
    """(R - G - B) x 320 of 19 does not count, of 21 does."""
    below, above = (int(np.searchsorted(srgb_to_linear_table(), value / 320.0)) for value in (19.0, 21.0))
    assert srgb_to_linear_table()[below] * 320 < 20 < srgb_to_linear_table()[above] * 320
    assert worst(square(4, (below, 0, 0), BLACK), red=True) == 0
    assert worst(square(4, (above, 0, 0), BLACK), red=True) == 8


def test_red_to_blue_is_a_red_flash_without_a_general_one() -> None:
    """One state saturated red is enough, equal luminance does not hide it."""
    red, blue = (170, 0, 0), (0, 0, 255)
    pixels = square(4, red, blue)
    assert worst(pixels, red=True) == 8
    assert worst(pixels) == 0


@pytest.mark.parametrize(
    ("dark", "light", "counts"),
    [
        (0.0, 0.105, True),
        (0.0, 0.095, False),
        (0.78, 0.9, True),
        (0.82, 0.95, False),
        (0.5, 0.59, False),
        (0.5, 0.62, True),
    ],
)
def test_luminance_thresholds(dark: float, light: float, *, counts: bool) -> None:
    """A change of 10 % of the maximum counts where the darker state is below 0.80."""
    low, high = grey_for(dark), grey_for(light)
    pixels = square(4, (high, high, high), (low, low, low))
    assert (worst(pixels) == 8) is counts


def test_a_change_in_small_steps_is_one_change() -> None:
    """Ramps add up to their extremes: a triangle of four periods a second counts as a square does."""
    level = 255 * np.abs((np.arange(200) * 4 / 50.0) % 2.0 - 1.0)
    pixels = np.repeat(level.astype(np.uint8)[:, None, None], 180, axis=1).repeat(3, axis=2)
    assert worst(pixels) in {4, 5}
    fast = 255 * np.abs((np.arange(200) * 8 / 50.0) % 2.0 - 1.0)
    pixels = np.repeat(fast.astype(np.uint8)[:, None, None], 180, axis=1).repeat(3, axis=2)
    assert worst(pixels) in {8, 9}


def test_slow_ramps_and_ripples_pass() -> None:
    """A swell over two seconds is one change; a ripple of 5 % on top adds none."""
    swell = np.linspace(0.0, 1.0, 100)
    level = np.concatenate([swell, swell[::-1]]) * 0.9
    level[::2] -= 0.03
    grey = np.interp(np.clip(level, 0, 1), srgb_to_linear_table(), np.arange(256)).astype(np.uint8)
    pixels = np.repeat(grey[:, None, None], 180, axis=1).repeat(3, axis=2)
    assert worst(pixels) <= 2


def test_alternating_halves_flash_though_the_light_stays_the_same() -> None:
    """Every LED flashes four times a second, in turn with its neighbour."""
    pixels = square(4, WHITE, BLACK)
    pixels[:, ::2] = 255 - pixels[:, ::2]
    assert worst(pixels) == 8


def test_different_parts_flashing_in_turn_add_up() -> None:
    """Each half flashes twice a second, together the strip does four times."""
    pixels = np.zeros((200, 180, 3), dtype=np.uint8)
    for start in range(0, 200, 25):
        half = slice(0, 90) if (start // 25) % 2 else slice(90, 180)
        pixels[start : start + 6, half] = 255
        other = slice(90, 180) if (start // 25) % 2 else slice(0, 90)
        pixels[start + 12 : start + 18, other] = 255
    assert worst(pixels) > MAX_TRANSITIONS


def test_a_light_that_wanders_is_no_flash() -> None:
    """60 lit LEDs running along the strip at 200 LEDs a second keep the lit area."""
    frames = np.arange(200)
    leds = (np.arange(180) - 4 * frames[:, None]) % 180
    pixels = np.where((leds < 60)[:, :, None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    assert worst(pixels) <= MAX_TRANSITIONS


def test_the_finding_says_when_how_much_and_how_long() -> None:
    """Two quiet seconds, two of strobe over half the strip, two quiet ones."""
    strobe = square(8, WHITE, BLACK, slice(0, 90))[:100]
    pixels = np.concatenate([np.zeros((100, 180, 3), np.uint8), strobe, np.zeros((100, 180, 3), np.uint8)])
    check = PhotosensitivityCheck()
    check.feed(pixels)
    found = check.result(lambda _frame, _red: "culprit")
    assert not found.passed
    assert found.red.passed
    assert found.general.node == "culprit"
    assert found.general.max_flashes_per_second == 8.0
    assert found.general.fraction == 0.5
    assert found.general.at_ms is not None
    assert 1900.0 <= found.general.at_ms <= 3000.0
    (span,) = found.general.spans
    assert 1000.0 < span.start_ms < 2000.0 < span.end_ms < 4000.0


def test_a_dark_show_passes_with_no_moment_to_name() -> None:
    """No flash, no time, no node."""
    check = PhotosensitivityCheck()
    check.feed(np.zeros((10, 180, 3), np.uint8))
    found = check.result(lambda _frame, _red: None).general
    assert (found.passed, found.max_flashes_per_second, found.at_ms, found.fraction) == (True, 0.0, None, 0.0)


def test_the_causing_node_is_found_by_holding_it_still() -> None:
    """Of a slow glow and a strobe the strobe is named."""
    graph = graph_of(
        node("time", "Time"),
        node("slow", "PerlinNoise", {"x": "time"}),
        node("strobe", "PositionAccumulator", mode="wrap", cycle_length=0.15),
        node("hard", "Contrast", {"x": "strobe"}, amount=16.0),
        node("level", "Mix", {"a": "slow", "b": "hard"}, amount=0.7),
        node("tint", "Hsv", {"s": "silver", "v": "level"}),
        node("silver", "ParamF", default=0.0),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    song = sample_song(synthetic_map(6_000.0))
    assert causing_node(graph, song, 200, False) == "strobe"
