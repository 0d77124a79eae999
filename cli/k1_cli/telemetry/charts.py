"""Draws stored telemetry and drift as PNG."""

import io
import warnings
from datetime import UTC, datetime
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from k1_contracts.escaping import escape_controls
from k1_contracts.messages.drift import OFF_MS, SectionDrift, TrackDrift
from k1_contracts.messages.telemetry_history import FieldSeries, TelemetryField, TelemetrySeries

_INK, _MUTED, _LINE, _BAND = "#1b1f24", "#6b7480", "#2563c9", "#9dbdf0"
_GOOD, _BAD, _WEAK = "#2f7d4f", "#c2410c", "#fde3d3"
_DOTS_PER_INCH: Final = 110
_NAMES: Final[dict[TelemetryField, str]] = {
    "drift_ms": "drift, ms",
    "cpu_pct": "CPU, %",
    "temp_c": "temperature, °C",
    "fps": "frames a second",
    "heap_free": "free heap, bytes",
    "rssi": "signal, dBm",
}


def draw_series(found: TelemetrySeries, title: str) -> bytes:
    """Return a picture with a chart for each field: the average, and the range around it."""
    figure = Figure(figsize=(14, 1.2 + 1.7 * len(found.series)), dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Any] = list(figure.subplots(len(found.series), 1, sharex=True, squeeze=False)[:, 0])
    for axis, series in zip(axes, found.series, strict=True):
        _draw_field(axis, series)
    axes[-1].set_xlim(found.starts_at, found.ends_at)
    locator = AutoDateLocator()
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    step = "single readings" if found.step_s is None else f"{found.step_s:g} s a point"
    _finish(figure, title, f"{found.readings} readings, {step}, times in UTC")
    return _png(figure)


def draw_drift(found: TrackDrift, title: str) -> bytes:
    """Return a picture of the drift along the song: sections above, beats below, weak places shaded."""
    figure = Figure(figsize=(14, 7), dpi=_DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    axes: list[Any] = list(figure.subplots(2, 1, sharex=True, height_ratios=[1.0, 1.4]))
    _draw_sections(axes[0], found.sections)
    _draw_beats(axes[1], found)
    for axis in axes:
        _quiet_frame(axis)
        for suggestion in found.suggestions:
            axis.axvspan(suggestion.from_ms / 1000, suggestion.to_ms / 1000, color=_WEAK, zorder=0)
    axes[-1].set_xlim(0, max((section.end_ms for section in found.sections), default=1000.0) / 1000)
    axes[-1].xaxis.set_major_formatter(lambda value, _: f"{int(value // 60)}:{int(value % 60):02d}")
    details = (
        f"version {found.version}, {found.counts.joined} readings, {found.devices} devices, {found.plays} plays; "
        "shaded: where a suggestion is"
    )
    _finish(figure, title, details)
    return _png(figure)


def _draw_field(axis: Any, series: FieldSeries) -> None:
    times = [datetime.fromtimestamp(each / 1000, UTC) for each in series.times_ms]
    axis.fill_between(times, series.min, series.max, color=_BAND, linewidth=0, alpha=0.6)
    axis.plot(times, series.avg, color=_LINE, linewidth=1.1)
    if series.field == "drift_ms":
        axis.axhline(0, color=_MUTED, linewidth=0.6)
    axis.set_ylabel(_NAMES[series.field], fontsize=9, color=_INK)
    _quiet_frame(axis)


def _draw_sections(axis: Any, sections: list[SectionDrift]) -> None:
    for section in sections:
        if section.figures is None:
            continue
        value = section.figures.mean_abs_ms
        start_s, length_s = section.start_ms / 1000, (section.end_ms - section.start_ms) / 1000
        axis.bar(
            start_s, value, length_s * 0.98, align="edge", color=_BAD if value > OFF_MS else _GOOD, zorder=2
        )
        text = f"{section.label}\n{section.devices_off} of {section.devices} off"
        axis.text(start_s + length_s / 2, value, text, ha="center", va="bottom", fontsize=8, color=_INK)
    axis.axhline(OFF_MS, color=_MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axis.set_ylabel("mean |drift|, ms", fontsize=9, color=_INK)
    axis.margins(y=0.3)


def _draw_beats(axis: Any, found: TrackDrift) -> None:
    times = [beat.time_ms / 1000 for beat in found.beats]
    means = [beat.figures.mean_ms for beat in found.beats]
    colours = [_BAD if beat.figures.mean_abs_ms > OFF_MS else _GOOD for beat in found.beats]
    axis.axhline(0, color=_MUTED, linewidth=0.6)
    axis.vlines(times, 0, means, colors=colours, linewidth=1.2)
    axis.scatter(times, means, c=colours, s=9, zorder=3)
    axis.set_ylabel("mean drift at each beat, ms", fontsize=9, color=_INK)


def _quiet_frame(axis: Any) -> None:
    axis.tick_params(colors=_MUTED, labelsize=8)
    axis.grid(axis="y", color="#e6e8eb", linewidth=0.6, zorder=0)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color("#c9ced4")


def _finish(figure: Any, title: str, details: str) -> None:
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.075, right=0.985, top=1 - 0.8 / height, bottom=0.45 / height, hspace=0.18)
    # A title may hold `$`, which matplotlib would read as mathematics.
    name = escape_controls(title)[:90]
    figure.text(0.075, 1 - 0.35 / height, name, fontsize=14, color=_INK, weight="bold", parse_math=False)
    figure.text(0.075, 1 - 0.62 / height, details, fontsize=10, color=_MUTED)


def _png(figure: Any) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes; a warning would not help the person at the terminal.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
