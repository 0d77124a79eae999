"""Writes beats and sections as plain text: Audacity labels, beat lists, comma-separated values."""

import csv
import io
from typing import Final

from k1_gateway.exports.song import Song

_CSV_COLUMNS: Final = (
    "beat", "time_s", "position", "downbeat", "bpm", "strength", "confidence", "section",
)  # fmt: skip


def audacity_labels(song: Song) -> bytes:
    """Return a label track: one region for each section, one point for each beat, labelled with its position.

    A line is `start<TAB>end<TAB>label`, in seconds. Source: Audacity manual, "Importing and Exporting Labels".
    """
    rows = [(section.start_ms, section.end_ms, section.label) for section in song.sections]
    rows += [(drop, drop, "drop starts") for drop in song.annotations.drops]
    rows += [
        (beat, beat, str(position))
        for beat, position in zip(song.rhythm.beat_grid_ms, song.positions, strict=True)
    ]
    lines = [
        f"{_seconds(start)}\t{_seconds(end)}\t{label}\n" for start, end, label in sorted(rows, key=_start)
    ]
    return "".join(lines).encode()


def beat_list(song: Song) -> bytes:
    """Return one line for each beat, `seconds<TAB>position in the bar`: the format of MIREX and of `mir_eval.io`."""
    lines = [
        f"{_seconds(beat)}\t{position}\n"
        for beat, position in zip(song.rhythm.beat_grid_ms, song.positions, strict=True)
    ]
    return "".join(lines).encode()


def csv_table(song: Song) -> bytes:
    """Return a table with one row for each beat. Empty cells are unknown values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_CSV_COLUMNS)
    beats = song.rhythm.beat_grid_ms
    confidences = song.rhythm.beat_confidence or [None] * len(beats)
    for index, (beat, position) in enumerate(zip(beats, song.positions, strict=True)):
        section = song.section_at(beat)
        label = section.label if section else ""
        bpm = f"{60_000 / (beats[index + 1] - beat):.2f}" if index + 1 < len(beats) else ""
        strength, confidence = song.rhythm.beat_strength[index], confidences[index]
        writer.writerow(
            (index + 1, _seconds(beat), position, int(position == 1), bpm, strength, confidence, label)
        )
    return text.getvalue().encode()


def _seconds(time_ms: float) -> str:
    return f"{time_ms / 1000:.4f}"


def _start(row: tuple[float, float, str]) -> float:
    return row[0]
