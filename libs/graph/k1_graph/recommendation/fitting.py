"""Computes the `$name` values of a template for a song, each with its reasons.

$pulse_type      MapBeat, or MapDownbeat where the median_bpm is too high for a flash on each beat
$lead_ms         half a frame, because an event is visible in the first frame after it
$decay_ms, $bar_decay_ms          length of a pulse on the beat and on the downbeat
$pulse_floor, $pulse_top          brightness between pulses and on a pulse
$calm_decay, $drop_decay          trail decay per frame, outside and inside a drop
$smoothing, $contrast, $bass_gain, $mids_gain, $highs_gain, $rms_gain    scaling of the envelopes
$section_source, $section_scale, $section_stops, $ramp, $night, $accent  colours
$scroll_speed, $shimmer_scale, $drift_s                                  speeds in time with the median_bpm
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from k1_contracts.genesis import GenesisMap, IntensityPoint, Section
from k1_contracts.graph import Reason
from k1_graph.colour import from_hex
from k1_graph.limits import FRAME_MS, LEDS
from k1_graph.node_types.definitions import ParamValue
from k1_graph.recommendation.templates import Style
from k1_graph.song import key_name

_DEFAULT_BPM = 120.0
_BEATS_A_BAR = 4
_MAX_STOPS = 16
_SMOOTHING = (0.6, 0.85, 0.95)
_DEPTH_SHARE = (1.0, 0.6, 0.2)
_MIN_DECAY = (0.0, 0.85, 0.93)
MAX_CALM_LEVEL = len(_SMOOTHING) - 1
"""The largest calm_level level that `fit` accepts."""
_DARK_LABELS = frozenset({"intro", "outro", "breakdown"})
_BRIGHT_LABELS = frozenset({"drop", "chorus"})


@dataclass(frozen=True, slots=True)
class FittedValue:
    """A fitted value and its reasons; the recommender adds the node to the reasons."""

    value: ParamValue
    reasons: tuple[Reason, ...] = ()


def fit(style: Style, genesis: GenesisMap, calm_level: int) -> dict[str, FittedValue]:
    """Return the value of every name. Calm level 0 is the plain style; 1 and 2 reduce its changes of light."""
    return {
        **_fit_pulse(style, genesis, calm_level),
        **_fit_trails(style, genesis, calm_level),
        **_fit_envelopes(genesis, calm_level),
        **_fit_colours(style, genesis),
        **_fit_speeds(genesis),
    }


def median_bpm(genesis: GenesisMap) -> float:
    """Return the BPM of the median beat interval. Without two beats return the map's BPM, or else 120."""
    beats = genesis.layers.rhythm.beat_grid_ms
    if len(beats) > 1:
        return 60_000.0 / float(np.median(np.diff(beats)))
    return genesis.global_metrics.bpm or _DEFAULT_BPM


def _beat_ms(genesis: GenesisMap) -> float:
    return 60_000.0 / median_bpm(genesis)


def _reason(text: str, time_ms: float | None = None) -> tuple[Reason, ...]:
    return (Reason(text=text, time_ms=time_ms),)


def _fit_pulse(style: Style, genesis: GenesisMap, calm_level: int) -> dict[str, FittedValue]:
    bpm = median_bpm(genesis)
    on_beats = bpm <= style.pulse_max_bpm and not calm_level
    if on_beats:
        reason = f"{bpm:.1f} BPM: a pulse on every beat is {bpm / 60.0:.1f} a second, below three"
    elif calm_level:
        reason = f"{bpm:.1f} BPM: pulses on the downbeats only, to hold flashes back"
    else:
        reason = f"{bpm:.1f} BPM is too fast for a pulse on every beat; pulses on the downbeats"
    decay_ms = _clip(style.decay_beats * _beat_ms(genesis) * (1 if on_beats else 2), 80.0, 4000.0)
    bar_ms = _clip(2.0 * style.decay_beats * _beat_ms(genesis), 80.0, 4000.0)
    depth = style.pulse_depth * _DEPTH_SHARE[calm_level]
    top = 0.95
    return {
        "pulse_type": FittedValue("MapBeat" if on_beats else "MapDownbeat", _reason(reason)),
        "lead_ms": FittedValue(FRAME_MS / 2.0),
        "decay_ms": FittedValue(
            round(decay_ms, 1), _reason(f"pulses fade in {decay_ms:.0f} ms at {bpm:.1f} BPM")
        ),
        "bar_decay_ms": FittedValue(
            round(bar_ms, 1), _reason(f"downbeats fade in {bar_ms:.0f} ms at {bpm:.1f} BPM")
        ),
        "pulse_top": FittedValue(top),
        "pulse_floor": FittedValue(round(top * (1.0 - depth), 3)),
    }


def _fit_trails(style: Style, genesis: GenesisMap, calm_level: int) -> dict[str, FittedValue]:
    usual = _decay(style.trail_beats * _beat_ms(genesis), calm_level)
    short = _decay(style.drop_trail_beats * _beat_ms(genesis), calm_level)
    drops = tuple(
        Reason(
            text=f"drop at {start / 1000.0:.1f} s: strobe-free bloom, decay from {usual:.2f} to {short:.2f}",
            time_ms=start,
        )
        for start in genesis.layers.annotations.drops
    )
    beats = f"trails last {style.trail_beats:g} beats at {median_bpm(genesis):.1f} BPM: decay {usual:.2f}"
    return {"calm_decay": FittedValue(usual, _reason(beats)), "drop_decay": FittedValue(short, drops)}


def _decay(length_ms: float, calm_level: int) -> float:
    """Return the decay per frame that leaves 1/e after `length_ms`."""
    return round(max(math.exp(-FRAME_MS / max(length_ms, 1.0)), _MIN_DECAY[calm_level]), 3)


def _fit_envelopes(genesis: GenesisMap, calm_level: int) -> dict[str, FittedValue]:
    frequency = genesis.layers.frequency
    layers = {
        "bass": frequency.bass,
        "mids": frequency.mids,
        "highs": frequency.highs,
        "rms": genesis.layers.dynamics.rms,
    }
    dynamic_range = genesis.global_metrics.dynamic_range
    amount = round(_clip(2.0 - dynamic_range / 15.0, 1.0, 1.8 if not calm_level else 1.0), 2)
    return {
        "smoothing": FittedValue(_SMOOTHING[calm_level]),
        "contrast": FittedValue(
            amount, _reason(f"dynamic range {dynamic_range:.1f} dB: contrast {amount:g}")
        ),
        **{f"{name}_gain": _gain(name, points) for name, points in layers.items()},
    }


def _gain(name: str, points: Sequence[IntensityPoint]) -> FittedValue:
    """Return the gain that raises the 95th percentile of the envelope to 0.9."""
    loud = float(np.percentile([point.intensity for point in points], 95)) if points else 0.0
    gain = round(_clip(0.9 / loud if loud else 1.0, 0.5, 4.0), 2)
    return FittedValue(gain, _reason(f"{name} reach {loud:.2f} in their loudest twentieth: gain {gain:g}"))


def _fit_colours(style: Style, genesis: GenesisMap) -> dict[str, FittedValue]:
    minor = genesis.global_metrics.scale == "minor"
    colours = np.array([from_hex(text) for text in (style.minor if minor else style.major)])
    ramp = _reason(f"{key_name(genesis)}: the template's {'minor' if minor else 'major'} colours")
    return {
        **_fit_sections(colours, genesis.layers.annotations.sections),
        "ramp": FittedValue([[0.0, 0.0, 0.0], *_to_lists(colours)], ramp),
        "night": FittedValue(_to_lists(colours[:1] * 0.35)[0]),
        "accent": FittedValue(_to_lists(colours[-1:])[0]),
    }


def _fit_sections(
    colours: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", sections: Sequence[Section]
) -> dict[str, FittedValue]:
    ordered = sorted(sections, key=lambda section: section.start_ms)
    if not 1 < len(ordered) <= _MAX_STOPS:
        reason = _reason(f"{len(ordered)} sections: colour follows the energy instead of the section")
        return {
            "section_source": FittedValue("section.energy", reason),
            "section_scale": FittedValue(1.0),
            "section_stops": FittedValue(_to_lists(colours)),
        }
    positions = [_color_position(section) for section in ordered]
    places = np.linspace(0.0, 1.0, len(colours))
    stops = np.stack([np.interp(positions, places, colours[:, channel]) for channel in range(3)], axis=1)
    reasons = tuple(
        Reason(
            text=f"{section.label} at {section.start_ms / 1000.0:.1f} s, energy {section.energy:.2f}: colour {_hex(stop)}",
            time_ms=section.start_ms,
        )
        for section, stop in zip(ordered, stops, strict=True)
    )
    return {
        "section_source": FittedValue("section"),
        "section_scale": FittedValue(1.0 / (len(ordered) - 1)),
        "section_stops": FittedValue(_to_lists(stops), reasons),
    }


def _color_position(section: Section) -> float:
    """Return the position of a section among the template's colours, 0..1."""
    if section.label in _BRIGHT_LABELS:
        return max(section.energy, 0.75)
    return min(section.energy, 0.4) if section.label in _DARK_LABELS else section.energy


def _fit_speeds(genesis: GenesisMap) -> dict[str, FittedValue]:
    beat_ms = _beat_ms(genesis)
    crossing_frames = 2.0 * beat_ms / FRAME_MS
    speed = round(_clip(LEDS / 2 / crossing_frames, 0.3, 4.0), 2)
    drift = round(_clip(8 * _BEATS_A_BAR * beat_ms / 1000.0, 4.0, 60.0), 2)
    return {
        "scroll_speed": FittedValue(
            speed, _reason(f"a front reaches the ends in two beats: {speed:g} LEDs a frame")
        ),
        "shimmer_scale": FittedValue(round(_clip(1000.0 / beat_ms / 2.0, 0.3, 2.0), 3)),
        "drift_s": FittedValue(drift, _reason(f"the light drifts across in eight bars, {drift:g} s")),
    }


def _to_lists(colours: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> list[list[float]]:
    return [[round(float(channel), 4) for channel in colour] for colour in colours]


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(float(channel) * 255):02x}" for channel in colour)


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
