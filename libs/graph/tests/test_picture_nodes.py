"""Tests what the nodes of colours and pixels mean, against plain loops."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from libs.graph.tests.node_runs import PICTURE, out, signal


@pytest.mark.parametrize(
    ("hue", "colour"),
    [(0.0, [1, 0, 0]), (1 / 3, [0, 1, 0]), (2 / 3, [0, 0, 1]), (1.0, [1, 0, 0]), (1 / 6, [1, 1, 0])],
)
def test_hues(hue: float, colour: list[float]) -> None:
    """Red, green, blue and round again."""
    assert np.allclose(out("Hsv", {"h": signal(hue)})[0], colour, atol=1e-6)


def test_colour_changes() -> None:
    """Greys by luma, full saturation keeps the hue, a palette keeps the brightness order."""
    tint = np.array([[0.8, 0.4, 0.2]], dtype=np.float32)
    assert np.allclose(
        out("Desaturate", {"color": tint}, strength=1.0), 0.8 * 0.2126 + 0.4 * 0.7152 + 0.2 * 0.0722
    )
    assert np.allclose(out("ForceSaturation", {"color": tint}), [[0.8, 0.8 / 3, 0.0]], atol=1e-6)
    grey = np.full((1, 3), 0.5, dtype=np.float32)
    assert np.array_equal(out("ForceSaturation", {"color": grey}), grey)
    dark, light = (
        out("PaletteSelector", {"color": np.full((1, 3), v, dtype=np.float32)}).sum() for v in (0.1, 0.9)
    )
    assert dark < light


def test_custom_palettes_run_between_their_stops() -> None:
    """Half way between black and red is half red."""
    stops = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert np.allclose(
        out("GradientMap", {"index": signal(0.5)}, palette="custom", stops=stops), [[0.5, 0, 0]], atol=3e-3
    )
    buffer = np.linspace(-1.0, 2.0, 180, dtype=np.float32)[None]
    shown = out("ColorizeBuffer", {"index_buf": buffer}, palette="custom", stops=stops)
    assert (shown[0, 0, 0], shown[0, -1, 0]) == (0.0, 1.0)


def test_blur_is_the_mean_of_the_neighbourhood() -> None:
    """Against a loop, edges repeated."""
    expected = np.empty_like(PICTURE)
    for led in range(180):
        reach = np.clip(np.arange(led - 3, led + 4), 0, 179)
        expected[:, led] = PICTURE[:, reach].mean(axis=1)
    assert np.allclose(out("Blur", {"src": PICTURE}, radius=3), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"axis": "flip"}, lambda led: 179 - led),
        ({"axis": "left"}, lambda led: min(led, 179 - led)),
        ({"axis": "right"}, lambda led: max(led, 179 - led)),
    ],
)
def test_mirrors(params: dict[str, Any], place: Callable[[int], int]) -> None:
    """Each LED shows the LED that the axis says, for colours and for numbers."""
    expected = [place(led) for led in range(180)]
    assert np.array_equal(out("Mirror", {"src": PICTURE}, **params), PICTURE[:, expected])
    assert np.array_equal(out("Mirror", {"src": PICTURE[:, :, 0]}, **params), PICTURE[:, expected, 0])


def test_shifts_wrap_and_blend() -> None:
    """Whole steps move, half steps average, and a moving offset equals fixed ones frame by frame."""
    assert np.array_equal(out("Shift", {"src": PICTURE}, offset=-183.0), np.roll(PICTURE, -3, axis=1))
    half = out("Shift", {"src": PICTURE}, offset=0.5)
    assert np.allclose(half, (PICTURE + np.roll(PICTURE, 1, axis=1)) / 2)
    offsets = np.array([0.0, 1.5, -2.0, 200.25, 7.0, 90.0])
    moving = out("Shift", {"src": PICTURE, "offset": offsets})
    for frame, offset in enumerate(offsets):
        fixed = out("Shift", {"src": PICTURE}, offset=float(offset))
        assert np.allclose(moving[frame], fixed[frame], atol=1e-6)


def test_downsample_shows_block_means() -> None:
    """Blocks of 7, the last of 5 LEDs."""
    shown = out("Downsample", {"src": PICTURE}, factor=7)
    assert np.allclose(shown[:, 0:7], PICTURE[:, 0:7].mean(axis=1, keepdims=True))
    assert np.allclose(shown[:, 175:], PICTURE[:, 175:].mean(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("mode", "expected"), [("add", 1.0), ("multiply", 0.48), ("screen", 0.92), ("overlay", 0.84)]
)
def test_blend_modes(mode: str, expected: float) -> None:
    """0.6 below 0.8, with full and half opacity."""
    base = np.full((1, 180, 3), 0.6, dtype=np.float32)
    top = np.full((1, 180, 3), 0.8, dtype=np.float32)
    layers = {"base": base, "overlay": top}
    assert np.allclose(out("ComposeLayers", layers, blend_mode=mode), expected)
    assert np.allclose(out("ComposeLayers", layers, blend_mode=mode, opacity=0.5), (0.6 + expected) / 2)
    off = {**layers, "enabled": np.array([False])}
    assert np.array_equal(out("ComposeLayers", off, blend_mode=mode), base)


def test_dots_fall_off_and_stay_on_the_strip() -> None:
    """A dot of width 3 at the first LED shows 1, 2/3, 1/3."""
    shown = out("DotRender", {"level": signal(1.0)}, indices=[0], peak_width=3)
    assert np.allclose(shown[0, :4, 0], [1.0, 2 / 3, 1 / 3, 0.0])


def test_a_trail_is_its_recurrence() -> None:
    """decay x previous + (1 - decay) x src, also when decay moves."""
    decay = np.linspace(0.2, 0.9, 6)
    expected, last = [], np.zeros((180, 3))
    for frame in range(6):
        last = decay[frame] * last + (1 - decay[frame]) * PICTURE[frame]
        expected.append(last)
    assert np.allclose(out("BufferPersist", {"src": PICTURE, "decay": decay}), expected, atol=1e-6)


def test_waves_move_outwards_and_leave_the_strip() -> None:
    """One push at the centre: symmetric, at its speed, and gone after it left the strip."""
    push = np.zeros(400)
    push[0] = 1.0
    pool = out("WavePool", {"src": push}, 400, speed=1.0, damping=0.0)
    assert np.allclose(pool, pool[:, ::-1], atol=1e-6)
    assert pool[60, 90 + 60] > 0.3
    assert pool[60, 90 + 64] == 0.0
    assert pool[399].max() < 0.05


def test_damping_fades_a_wave_evenly() -> None:
    """After 50 frames at 2 % a frame 0.98^50 of the undamped height is left."""
    push = np.zeros(60)
    push[0] = 1.0
    free, damped = (out("WavePool", {"src": push}, 60, damping=d)[50] for d in (0.0, 0.02))
    assert np.allclose(damped, free * 0.98**50, atol=1e-3)
    assert free.max() > 0.2


@pytest.mark.parametrize("direction", ["out", "in"])
def test_a_sprite_flows_at_its_speed(direction: str) -> None:
    """A flash painted in one frame stands 2 x 20 LEDs along the flow 20 frames later, on both halves."""
    src = np.zeros((30, 180, 3), dtype=np.float32)
    src[0] = 1.0
    shown = out("SpriteScroll", {"src": src}, 30, speed=2.0, direction=direction)[20, :, 0]
    lit = np.flatnonzero(shown).tolist()
    expected = [39, 40] if direction == "in" else [49, 50]
    assert set(expected) & set(lit)
    assert np.array_equal(shown, shown[::-1])


def test_noise_is_smooth_within_bounds_and_seeded() -> None:
    """Noise is in 0..1, has no jumps, and changes with the seed."""
    x = np.linspace(0.0, 50.0, 5_000)
    noise = out("PerlinNoise", {"x": x}, octaves=3)
    assert 0.0 <= noise.min() < 0.3
    assert 0.7 < noise.max() <= 1.0
    assert np.abs(np.diff(noise)).max() < 0.05
    assert not np.allclose(noise, out("PerlinNoise", {"x": x}, octaves=3, seed=1))
    same = out("PerlinNoise", {"x": x, "seed": np.array([1])}, octaves=3)
    assert np.array_equal(same, out("PerlinNoise", {"x": x}, octaves=3, seed=1))


def test_the_mirrored_output_shows_the_whole_buffer_on_both_halves() -> None:
    """LED 0 of the buffer is the centre, the last one both ends; pairs are averaged."""
    ramp = np.repeat(np.linspace(0.0, 1.0, 180, dtype=np.float32)[None, :, None], 3, axis=2)
    shown = out("LedOutputMirror", {"color": ramp})[0, :, 0].astype(int)
    assert (shown[89], shown[90]) == (1, 1)
    assert (shown[0], shown[179]) == (254, 254)
    assert np.array_equal(shown, shown[::-1])
