"""Renders a map: as a plot, as the song with clicks, and as a `.beats` file."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io.wavfile

from k1_analysis.engine.audio.decoding import decode
from k1_analysis.engine.audio.framing import SAMPLE_RATE_HZ, Floats, Seconds
from k1_contracts.escaping import escape_controls
from k1_contracts.genesis import GenesisMap, IntensityPoint

_INK, _MUTED, _GRID = "#1f2430", "#7a8190", "#e4e6eb"
_WAVE, _BEAT, _DOWNBEAT = "#b9c0cc", "#5b7db1", "#c8553d"
_BANDS = {"bass": "#8c4a3c", "mids": "#c08a3e", "highs": "#4a8c86"}
_LOUDNESS, _CONFIDENCE = "#5d4a8c", "#3f7d4f"
_SECTIONS = {
    "intro": "#dfe7f1",
    "verse": "#d9ead9",
    "build": "#fbe8c8",
    "drop": "#f3c9bf",
    "breakdown": "#d6e5ea",
    "chorus": "#f6d9c2",
    "outro": "#e3dfee",
    "section": "#ececec",
}
_BEATS_SHOWN_SINGLY = 700
"""With more beats than this only downbeats get a line, because the lines would merge."""
_NARROWEST_LABEL = 0.035
"""A section narrower than this share of the song gets its label's first letter."""
_CLICK_S = 0.03
_CLICK_HZ = 1000.0
_DOWNBEAT_CLICK_HZ = 1600.0


def plot_map(genesis: GenesisMap, audio: Floats | Path, out_png: Path) -> None:
    """Draw waveform, beats, downbeats, bands, loudness, sections and confidence as a PNG.

    Args:
        genesis: the map.
        audio: the mono samples at 44.1 kHz or the file that the map was made from.
        out_png: where the picture goes.

    Raises:
        EngineError: the file cannot be decoded.
    """
    # Imported here: matplotlib costs a second and 60 MB, and a worker never draws.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    samples = decode(audio).samples if isinstance(audio, Path) else audio
    duration_s = genesis.global_metrics.duration_ms / 1000
    figure = Figure(figsize=(16, 9), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Any] = list(
        figure.subplots(
            6,
            1,
            sharex=True,
            height_ratios=[0.35, 2.2, 1.4, 1.1, 0.9, 0.9],
            gridspec_kw={"hspace": 0.16, "left": 0.105, "right": 0.985, "top": 0.9, "bottom": 0.06},
        )
    )
    _draw_sections(axes[0], genesis, duration_s)
    _draw_wave(axes[1], genesis, samples, duration_s)
    _draw_bands(axes[2], genesis)
    _draw_loudness(axes[3], genesis)
    _draw_tempo(axes[4], genesis)
    _draw_confidence(axes[5], genesis)
    for axis in axes[1:]:
        _quiet_frame(axis)
        for section in genesis.layers.annotations.sections[1:]:
            axis.axvline(
                section.start_ms / 1000, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1
            )
    axes[0].set_xlim(0, duration_s)
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{int(value // 60)}:{int(value % 60):02d}")
    _draw_title(figure, genesis)
    with warnings.catch_warnings():
        # matplotlib warns for each letter that the font lacks and draws a box; the user cannot change that.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out_png, format="png", metadata={"Software": None})


def render_clicks(path: Path, genesis: GenesisMap, out_wav: Path) -> None:
    """Write the song as 16-bit mono WAV with a click on every beat, higher on the downbeats.

    Raises:
        EngineError: the file cannot be decoded.
    """
    samples = decode(path).samples.copy()
    samples *= 0.6 / max(float(np.abs(samples).max()), 1e-6)
    downbeats = set(genesis.layers.rhythm.downbeat_ms)
    for time_ms in genesis.layers.rhythm.beat_grid_ms:
        click = _click(_DOWNBEAT_CLICK_HZ if time_ms in downbeats else _CLICK_HZ)
        start = round(time_ms / 1000 * SAMPLE_RATE_HZ)
        room = samples[start : start + len(click)]
        room += click[: len(room)]
    scipy.io.wavfile.write(out_wav, SAMPLE_RATE_HZ, (samples.clip(-1, 1) * 32767).astype(np.int16))


def write_beats(genesis: GenesisMap, out: Path) -> None:
    """Write one line a beat: seconds, a tab, the position in the bar (0 before the first downbeat)."""
    downbeats = set(genesis.layers.rhythm.downbeat_ms)
    position = 0
    lines: list[str] = []
    for time_ms in genesis.layers.rhythm.beat_grid_ms:
        if time_ms in downbeats:
            position = 1
        elif position:
            position += 1
        lines.append(f"{time_ms / 1000:.4f}\t{position}\n")
    out.write_text("".join(lines), encoding="utf-8")


def _click(frequency_hz: float) -> Floats:
    times = np.arange(int(_CLICK_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.4 * np.sin(2 * np.pi * frequency_hz * times) * np.exp(-times * 120)).astype(np.float32)


def _draw_title(figure: Any, genesis: GenesisMap) -> None:
    metrics = genesis.global_metrics
    loudness = "silent" if metrics.integrated_lufs is None else f"{metrics.integrated_lufs:.1f} LUFS"
    labels = [
        f"{metrics.bpm:.1f} BPM" if metrics.bpm else "no beat",
        metrics.time_signature,
        f"{metrics.key} {metrics.scale}",
        loudness,
        f"confidence {metrics.confidence or 0:.0%}",
        f"trackers agree {metrics.f_measure:.0%}",
    ]
    # A name may hold `$`, which matplotlib would read as mathematics.
    name = escape_controls(genesis.metadata.filename)[:90]
    figure.text(0.105, 0.955, name, fontsize=15, color=_INK, weight="bold", parse_math=False)
    figure.text(0.105, 0.925, "   ·   ".join(labels), fontsize=11, color=_MUTED)


def _draw_sections(axis: Any, genesis: GenesisMap, duration_s: float) -> None:
    for section in genesis.layers.annotations.sections:
        start, width = section.start_ms / 1000, (section.end_ms - section.start_ms) / 1000
        axis.barh(
            0, width, left=start, height=1, color=_SECTIONS[section.label], edgecolor="white", linewidth=2
        )
        label = section.label if width > _NARROWEST_LABEL * duration_s else section.label[0]
        axis.text(start + width / 2, 0, label, ha="center", va="center", fontsize=10, color=_INK)
    axis.set_ylim(-0.5, 0.5)
    axis.axis("off")


def _draw_wave(axis: Any, genesis: GenesisMap, samples: Floats, duration_s: float) -> None:
    times, low, high = _outline(samples, duration_s)
    axis.fill_between(times, low, high, color=_WAVE, linewidth=0, zorder=2)
    rhythm = genesis.layers.rhythm
    beats = np.array(rhythm.beat_grid_ms) / 1000
    downbeats = np.array(rhythm.downbeat_ms) / 1000
    if len(beats) <= _BEATS_SHOWN_SINGLY:
        axis.vlines(beats, -0.62, 0.62, color=_BEAT, linewidth=0.6, alpha=0.75, zorder=3)
    axis.vlines(downbeats, -1, 1, color=_DOWNBEAT, linewidth=0.9, alpha=0.85, zorder=4)
    axis.set_ylim(-1.05, 1.05)
    axis.set_yticks([])
    _label(axis, "wave, beats,\ndownbeats")


def _outline(samples: Floats, duration_s: float, columns: int = 3000) -> tuple[Seconds, Seconds, Seconds]:
    """Return times, least and greatest sample of each column, scaled to the loudest."""
    edges = np.linspace(0, len(samples), min(columns, len(samples)) + 1).astype(int)[:-1]
    scale = max(float(np.abs(samples).max()), 1e-6)
    low, high = (
        reduce.reduceat(samples.astype(np.float64), edges) / scale for reduce in (np.minimum, np.maximum)
    )
    return np.linspace(0, duration_s, len(edges)), low, high


def _draw_bands(axis: Any, genesis: GenesisMap) -> None:
    layer = genesis.layers.frequency
    for row, (name, points) in enumerate(
        (("bass", layer.bass), ("mids", layer.mids), ("highs", layer.highs))
    ):
        times, values = _series(points)
        base = np.full(len(values), float(row))
        axis.fill_between(times, base, base + 0.92 * values, color=_BANDS[name], linewidth=0, alpha=0.9)
    axis.set_ylim(0, 3)
    axis.set_yticks([0.46, 1.46, 2.46], list(_BANDS))
    _label(axis, "bands")


def _draw_loudness(axis: Any, genesis: GenesisMap) -> None:
    points = genesis.layers.dynamics.loudness_lufs
    levels = np.array([point.lufs for point in points])
    times = np.array([point.time_ms for point in points]) / 1000
    axis.plot(times, levels, color=_LOUDNESS, linewidth=1.4)
    audible = levels[levels > -69]  # noqa: PLR2004  the meter's gate
    if len(audible):
        axis.set_ylim(max(-70.0, float(np.percentile(audible, 2)) - 6), float(audible.max()) + 3)
    _label(axis, "loudness\nLUFS")


def _draw_tempo(axis: Any, genesis: GenesisMap) -> None:
    points = genesis.layers.rhythm.tempo_curve
    values = np.array([point.bpm for point in points])
    axis.plot([point.time_ms / 1000 for point in points], values, color=_BEAT, linewidth=1.4)
    if len(values):
        middle = float(np.median(values))
        reach = max(0.06 * middle, float(np.abs(values - middle).max()) * 1.15)
        axis.set_ylim(middle - reach, middle + reach)
    _label(axis, "tempo\nBPM")


def _draw_confidence(axis: Any, genesis: GenesisMap) -> None:
    rhythm = genesis.layers.rhythm
    confidence = np.array(rhythm.beat_confidence or [])
    times = np.array(rhythm.beat_grid_ms[: len(confidence)]) / 1000
    axis.fill_between(times, 0, confidence, color=_CONFIDENCE, alpha=0.25, linewidth=0, step="mid")
    axis.plot(times, confidence, color=_CONFIDENCE, linewidth=1, drawstyle="steps-mid")
    axis.set_ylim(0, 1.05)
    axis.set_yticks([0.5, 1], ["50 %", "100 %"])
    _label(axis, "beat\nconfidence")


def _series(points: list[IntensityPoint]) -> tuple[Seconds, Seconds]:
    times = np.array([point.time_ms for point in points]) / 1000
    return times, np.array([point.intensity for point in points])


def _label(axis: Any, text: str) -> None:
    axis.text(-0.035, 0.5, text, transform=axis.transAxes, ha="right", va="center", fontsize=10, color=_INK)


def _quiet_frame(axis: Any) -> None:
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_GRID)
    axis.tick_params(colors=_MUTED, labelsize=9, length=0)
    axis.grid(axis="x", color=_GRID, linewidth=0.6, zorder=0)
    axis.set_axisbelow(True)
