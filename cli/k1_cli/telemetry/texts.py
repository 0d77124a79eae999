"""Prints stored telemetry and drift for people."""

from typing import Any, Final

from k1_cli.output.console import results
from k1_cli.output.formatting import count_of, display_name
from k1_cli.output.table import TextTable
from k1_cli.songs.map_summary import format_time
from k1_cli.telemetry.sparklines import sparkline
from k1_contracts.messages.drift import DriftFigures, SectionDrift, TrackDrift
from k1_contracts.messages.telemetry_history import TelemetrySeries

_SPARKLINE_WIDTH: Final = 40
_UNITS: Final = {
    "drift_ms": "ms", "cpu_pct": "%", "temp_c": "°C", "fps": "fps", "heap_free": "bytes", "rssi": "dBm",
}  # fmt: skip


def print_series(found: TelemetrySeries) -> None:
    """Print a line for each field: range, average, the shape of its average."""
    window = f"{found.starts_at:%Y-%m-%d %H:%M:%S} to {found.ends_at:%H:%M:%S} UTC"
    if found.readings == 0:
        results.print(f"no readings from {window}")
        return
    table = TextTable(
        ("field", "least", "average", "greatest", "unit", "shape"),
        right_aligned=("least", "average", "greatest"),
    )
    for each in found.series:
        average = sum(each.avg) / len(each.avg)
        values = (f"{value:.1f}" for value in (min(each.min), average, max(each.max)))
        table.add(each.field, *values, _UNITS[each.field], sparkline(each.avg, _SPARKLINE_WIDTH))
    results.print(table)
    step = (
        "single readings" if found.step_s is None else f"{found.step_s:g} s a point, from {found.resolution}"
    )
    results.print(f"{count_of(found.readings, 'reading')} from {window}; {step}")


def print_drift(found: TrackDrift, title: str) -> None:
    """Print the drift of each section and the suggestions."""
    counts = found.counts
    results.print(
        f"{title}, version {found.version}: {count_of(counts.joined, 'reading')} of "
        f"{count_of(found.devices, 'device')} in {count_of(found.plays, 'play')}"
    )
    if ignored := _ignored(found):
        results.print(f"not counted: {ignored}")
    if found.figures is None:
        results.print("no device has measured the drift of this version; deploy it, and let a device play it")
        return
    table = TextTable(
        ("section", "from", "to", "drift", "mean", "worst", "off", "devices off", "confidence"),
        right_aligned=("from", "to", "drift", "mean", "worst", "off", "devices off", "confidence"),
    )
    for section in found.sections:
        table.add(*_section_cells(section))
    results.print(table)
    results.print(f"whole song: {_figures_text(found.figures)}")
    for suggestion in found.suggestions:
        where = f"{format_time(suggestion.from_ms)} to {format_time(suggestion.to_ms)}"
        results.print(f"{display_name(suggestion.action)} {where}: {suggestion.reason}")


def _ignored(found: TrackDrift) -> str:
    counts = found.counts
    parts = [
        (counts.other_version, "of other versions"),
        (counts.outside, "outside the song"),
        (counts.unplaced, "without a position"),
    ]
    return ", ".join(f"{count} {what}" for count, what in parts if count)


def _figures_text(figures: DriftFigures) -> str:
    return (
        f"{figures.mean_abs_ms:.1f} ms on average (signed {figures.mean_ms:+.1f} ms), at most {figures.max_abs_ms:.1f} ms, "
        f"{figures.off_share:.0%} above 20 ms"
    )


def _section_cells(section: SectionDrift) -> tuple[Any, ...]:
    place = section.label, format_time(section.start_ms), format_time(section.end_ms)
    confidence = "" if section.beat_confidence is None else f"{section.beat_confidence:.2f}"
    if section.figures is None:
        return (*place, "", "", "", "", "", confidence)
    figures = section.figures
    return (
        *place,
        f"{figures.mean_abs_ms:.1f} ms",
        f"{figures.mean_ms:+.1f} ms",
        f"{figures.max_abs_ms:.1f} ms",
        f"{figures.off_share:.0%}",
        f"{section.devices_off} of {section.devices}",
        confidence,
    )
