"""Tests what the nodes of numbers, events and the song mean, against plain loops and constructed songs."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from k1_graph.executor.kernels import make_kernel, run_kernel
from k1_graph.executor.values import Chunk
from k1_graph.graph import Node, Ref
from k1_graph.node_types.definitions import load_node_types
from libs.graph.tests.node_runs import GENESIS, RNG, SONG, out, run, signal


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
