"""Prints a summary of a Genesis map for a person."""

from collections.abc import Iterator

from k1_cli.json_types import JsonObject
from k1_cli.output.console import results
from k1_cli.output.hints import k1_command

_NAME_WIDTH = 11


def print_summary(genesis: JsonObject) -> None:
    """Print tempo, key, loudness, sections and warnings of a map, given in its JSON form."""
    for name, value in _rows(genesis):
        results.print(f"{name:<{_NAME_WIDTH}}{value}")
    for warning in genesis["metadata"].get("warnings", []):
        results.print(f"warning: {warning['message']} ({warning['code']})", style="yellow")


def _rows(genesis: JsonObject) -> Iterator[tuple[str, str]]:
    metrics = genesis["global_metrics"]
    rhythm = genesis["layers"]["rhythm"]
    yield "duration", format_time(metrics["duration_ms"])
    yield "tempo", f"{metrics['bpm']:.2f} BPM in {metrics['time_signature']}" if metrics["bpm"] else "none"
    yield "beats", f"{len(rhythm['beat_grid_ms'])}, of which downbeats {len(rhythm['downbeat_ms'])}"
    yield "key", f"{metrics['key']} {metrics['scale']} (strength {metrics['key_strength']:.2f})"
    loudness = metrics["integrated_lufs"]
    yield "loudness", "silence" if loudness is None else f"{loudness:.1f} LUFS"
    yield "F-measure", f"{metrics['f_measure']:.2f} against {metrics['f_measure_reference']}"
    for section in genesis["layers"]["annotations"]["sections"]:
        span = f"{format_time(section['start_ms'])} to {format_time(section['end_ms'])}"
        yield "section", f"{span}  {section['label']} (energy {section['energy']:.2f})"


def same_recording_line(track_id: str) -> str:
    """Return the line that names a track of the same recording."""
    return f"the same recording as {track_id} ({k1_command(f'tracks {track_id}')})"


def format_time(milliseconds: float) -> str:
    """Return `3:07.4` for 187,400 ms."""
    minutes, seconds = divmod(round(milliseconds / 1000, 1), 60)
    return f"{int(minutes)}:{seconds:04.1f}"
