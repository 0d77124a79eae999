"""What each node means, checked against plain loops and constructed songs."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from k1_contracts.genesis import GenesisMap
from k1_graph.errors import MapUnusableError
from k1_graph.executor.kernels import make_kernel, run_kernel
from k1_graph.executor.rendering import list_approximations, render
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import load_node_types
from k1_graph.song import sample_song
from k1_graph.testing import graph_of, node, synthetic_map

Array = npt.NDArray[Any]
GENESIS = synthetic_map(4_000.0, bpm=120.0)
SONG = sample_song(GENESIS)
RNG = np.random.default_rng(5)
PICTURE = RNG.random((6, 180, 3)).astype(np.float32)


def run(
    kind: str, inputs: dict[str, Array] | None = None, /, frames: int = 6, **params: Any
) -> tuple[Array, ...]:
    """One node alone over the first frames; connected ports are those in `inputs`."""
    spec = load_node_types().nodes[kind]
    complete = {name: params.get(name, param.default) for name, param in spec.params.items()}
    made = Node("it", spec, {port: Ref("source", "out") for port in inputs or {}}, complete)
    return run_kernel(make_kernel(made, SONG), made, inputs or {}, Chunk(0, frames))


def out(kind: str, inputs: dict[str, Array] | None = None, /, frames: int = 6, **params: Any) -> Array:
    return run(kind, inputs, frames, **params)[0]


def signal(*values: float) -> Array:
    return np.array(values)


@pytest.mark.parametrize(
    ("kind", "inputs", "params", "expected"),
    [
        ("Add", {"a": 0.25, "b": 0.5}, {}, 0.75),
        ("Mul", {"a": 0.25}, {"b": 4.0}, 1.0),
        ("Mix", {"a": 1.0, "b": 3.0}, {"amount": 0.25}, 1.5),
        ("Lerp", {"t": 0.5}, {"from": 2.0, "to": 4.0}, 3.0),
        ("Clamp", {"x": 3.0}, {"lo": 0.0, "hi": 2.0}, 2.0),
        ("Pow", {"x": -2.0}, {"exponent": 2.0}, 0.0),
        ("Pow", {"x": 3.0}, {"exponent": 2.0}, 9.0),
        ("Sqrt", {"x": 9.0}, {}, 3.0),
        ("Sqrt", {"x": -9.0}, {}, 0.0),
        ("Contrast", {"x": 0.6}, {"amount": 2.0}, 0.7),
        ("Contrast", {"x": 0.9}, {"amount": 9.0}, 1.0),
        ("Mul", {"a": 1e6, "b": 1e6}, {}, 1e6),
    ],
)
def test_arithmetic(kind: str, inputs: dict[str, float], params: dict[str, Any], expected: float) -> None:
    """The catalogue's formulas; numbers saturate at a million."""
    values = {port: np.array([value]) for port, value in inputs.items()}
    assert out(kind, values, **params)[0] == pytest.approx(expected)


def test_a_driven_parameter_is_limited_to_its_range() -> None:
    """A port cannot push alpha beyond 1."""
    assert out("LowPass", {"signal": signal(1.0), "alpha": signal(7.0)}, 1)[0] == 1.0


def test_low_pass_and_moving_average_follow_their_recurrences() -> None:
    """Both equal the plain loop."""
    values = RNG.random(40)
    state, expected = 0.0, []
    for value in values:
        state = 0.7 * state + 0.3 * value
        expected.append(state)
    assert np.allclose(out("LowPass", {"signal": values}, 40, alpha=0.3), expected)
    padded = np.concatenate([np.zeros(4), values])
    means = [padded[i : i + 5].mean() for i in range(40)]
    assert np.allclose(out("MovingAverage", {"signal": values}, 40, window_size=5), means)


def test_a_beat_event_needs_to_be_armed_again() -> None:
    """It fires on the way up, and again only after the level fell below threshold - hysteresis."""
    level = signal(0.1, 0.6, 0.9, 0.48, 0.7, 0.3, 0.5)
    assert out("BeatEvent", {"envelope": level}, 7, threshold=0.5, hysteresis=0.1).tolist() == [
        0, 0.6, 0, 0, 0, 0, 0.5,
    ]  # fmt: skip


def test_a_pulse_decays_to_37_per_cent_in_its_time() -> None:
    """After decay_ms (10 frames) 1/e is left; a weaker event does not lower it."""
    events = np.zeros(12)
    events[0], events[1] = 1.0, 0.2
    pulse = out("BeatPulse", {"beat": events}, 12, decay_ms=200.0)
    assert pulse[0] == 1.0
    assert pulse[1] == pytest.approx(math.exp(-0.1))
    assert pulse[10] == pytest.approx(math.exp(-1.0))


def test_map_beats_fire_in_the_first_frame_at_or_after_the_beat() -> None:
    """Beats at 500, 1000, ... ms are frames 25, 50, ...; a lead of 30 ms fires two frames earlier."""
    beats = out("MapBeat", frames=80)
    assert np.flatnonzero(beats).tolist() == [25, 50, 75]
    assert (beats[[25, 50, 75]] >= 0.5).all()
    assert np.flatnonzero(out("MapBeat", frames=80, lead_ms=30.0)).tolist() == [24, 49, 74]
    assert np.flatnonzero(out("MapDownbeat", frames=150)).tolist() == [25, 125]
    assert out("MapDownbeat", frames=150).max() == 1.0


def test_sections_give_index_energy_and_drop() -> None:
    """The third section of seven is a drop of energy 0.95."""
    index, energy, drop = run("MapSection", frames=200)
    sections = GENESIS.layers.annotations.sections
    frame = int(sections[2].start_ms / 20.0) + 2
    assert (index[frame], energy[frame], drop[frame]) == (2, 0.95, 1.0)
    assert (index[0], energy[0], drop[0]) == (0, 0.25, 0.0)


def test_the_tempo_phase_rises_inside_each_beat() -> None:
    """0 on the beat, half way between two beats 0.5, also before the first one."""
    phase = out("TempoTracker", frames=80)
    assert phase[25] == pytest.approx(0.0)
    assert phase[37] == pytest.approx(0.48)
    assert phase[12] == pytest.approx(0.48)


def test_position_modes() -> None:
    """wrap restarts, ping_pong reverses, once stays at the end."""
    cycle = {"cycle_length": 1.0}
    assert out("PositionAccumulator", frames=126, mode="wrap", **cycle)[[0, 25, 75, 125]].tolist() == [
        0,
        0.5,
        0.5,
        0.5,
    ]
    assert out("PositionAccumulator", frames=80, mode="ping_pong", **cycle)[[25, 50, 75]].tolist() == [
        0.5,
        1,
        0.5,
    ]
    assert out("PositionAccumulator", frames=80, mode="once", **cycle)[[25, 75]].tolist() == [0.5, 1.0]


def test_a_spectrum_carries_the_maps_bands() -> None:
    """BandShape over the spectrum gives back the envelope of its band."""
    spectrum = out("AudioSpectrum", frames=50)
    assert spectrum.shape == (50, 64)
    for band, name in (("low", "bass"), ("mid", "mids"), ("high", "highs")):
        assert np.allclose(out("BandShape", {"src": spectrum}, 50, band=band), SONG.envelopes[name][:50])


def test_the_pitch_is_that_of_the_strongest_pitch_class() -> None:
    """A4's octave: a chroma of C alone gives 261.6 Hz; silence and weak chroma give none."""
    clear = SONG.chroma * 0
    clear[:, 0] = 1.0
    song = dataclasses.replace(SONG, chroma=clear)
    spec = load_node_types().nodes["AutoCorrelation"]
    made = Node("it", spec, {"spectrum": Ref("s", "out")}, {"confidence_threshold": 0.5})
    loud = {"spectrum": np.ones((3, 64))}
    pitch, sure = run_kernel(make_kernel(made, song), made, loud, Chunk(0, 3))
    assert pitch[0] == pytest.approx(261.63, abs=0.01)
    assert sure[0] == pytest.approx(11 / 12)
    silent = {"spectrum": np.zeros((3, 64))}
    assert run_kernel(make_kernel(made, song), made, silent, Chunk(0, 3))[0].tolist() == [0, 0, 0]


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


def moving_inputs(kind: str, frames: int) -> dict[str, Array]:
    """Something that changes every frame on every port that a node has."""
    rng = np.random.default_rng(11)
    made: dict[str, Array] = {}
    for port in load_node_types().nodes[kind].inputs.values():
        shape = {"color": (3,), "audio_spectrum": (64,), "led_buffer<float>": (180,)}.get(port.type, ())
        if port.type in {"led_buffer<vec3>", "led_buffer<T>"}:
            shape = (180, 3)
        values = rng.random((frames, *shape))
        made[port.name] = values.astype(np.float32) if shape and shape != (64,) else values
    return made


@pytest.mark.parametrize("kind", load_node_types().nodes)
@pytest.mark.parametrize("size", [1, 7, 32])
def test_every_node_gives_the_same_in_chunks_of_any_size(kind: str, size: int) -> None:
    """Bit for bit, with every port moving: state is carried over and no rounding depends on the chunk."""
    spec = load_node_types().nodes[kind]
    params = {name: param.default for name, param in spec.params.items()}
    if "smoothing" in params:
        params["smoothing"] = 0.7
    inputs = moving_inputs(kind, 40)
    made = Node("it", spec, {port: Ref("source", "out") for port in inputs}, params)
    whole = run_kernel(make_kernel(made, SONG), made, inputs, Chunk(0, 40))
    kernel = make_kernel(made, SONG)
    parts = []
    for start in range(0, 40, size):
        chunk = Chunk(start, min(start + size, 40))
        cut = {port: values[chunk.window] for port, values in inputs.items()}
        parts.append(run_kernel(kernel, made, cut, chunk))
    if spec.behaviour == "constant":
        assert all(np.array_equal(part[0], whole[0]) for part in parts)
        return
    for index, output in enumerate(whole):
        assert np.array_equal(output, np.concatenate([part[index] for part in parts]))


def test_a_song_of_one_frame_and_one_without_anything_run() -> None:
    """Empty layers, no beats and no sections give constant pixels, never an error."""
    body = synthetic_map(10.0).model_dump(mode="json")
    layers = body["layers"]
    layers["rhythm"] = {"beat_grid_ms": [], "downbeat_ms": [], "beat_strength": [], "tempo_curve": []}
    layers["frequency"] = {"bass": [], "mids": [], "highs": []}
    layers["dynamics"]["rms"] = []
    layers["spectral"]["chroma"] = [[] for _ in range(12)]
    layers["annotations"] = {"sections": [], "drops": [], "silence": []}
    song = sample_song(GenesisMap.model_validate(body))
    assert song.frames == 1
    graph = graph_of(
        node("beat", "MapBeat"),
        node("pulse", "BeatPulse", {"beat": "beat"}),
        node("phase", "TempoTracker"),
        node("section", "MapSection"),
        node("tint", "Hsv", {"h": "phase", "s": "section.energy", "v": "pulse"}),
        node("fill", "Fill", {"color": "tint"}),
        node("strip", "LedOutput", {"color": "fill"}),
    )
    assert np.concatenate(list(render(graph, song))).max() == 0


def test_maps_that_are_too_long_are_rejected() -> None:
    """A map of several days raises an error with a message instead of filling the memory."""
    genesis = synthetic_map(1_000.0)
    metrics = genesis.global_metrics.model_copy(update={"duration_ms": 1e9})
    with pytest.raises(MapUnusableError, match="up to 6 hours"):
        sample_song(genesis.model_copy(update={"global_metrics": metrics}))


def test_microphone_nodes_are_named_as_approximations() -> None:
    """A graph that only reads the map has no such note."""
    tint = [node("tint", "Hsv", {"v": "ear"}), node("fill", "Fill", {"color": "tint"})]
    strip = node("strip", "LedOutput", {"color": "fill"})
    (note,) = list_approximations(graph_of(node("ear", "AudioSnapshot"), *tint, strip))
    assert "AudioSnapshot" in note
    assert list_approximations(graph_of(node("ear", "MapEnvelope"), *tint, strip)) == []
