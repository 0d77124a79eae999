"""The commands `k1 beats`: show and correct the beats of a song in a running stack."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, VersionOption, open_gateway
from k1_cli.json_types import JsonObject
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of

if TYPE_CHECKING:
    from k1_cli.api.client import GatewayClient

app = typer.Typer(
    name="beats", help="Show and correct the beats of a song.", no_args_is_help=True, rich_markup_mode="rich"
)
NoteOption = Annotated[str | None, typer.Option(help="Why; it is kept with the beats.")]


@app.command()
def show(
    track: TrackArgument,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the beats of a song and who set them.

    Example: ./k1 beats show "Night Drive"
    """
    with open_gateway(home) as gateway:
        found = gateway.beats(*_version(gateway, track, version))
    print_json(found) if as_json else _print_beats(found)


@app.command()
def edit(
    track: TrackArgument,
    file: Annotated[
        Path, typer.Argument(help="Beats: a time in seconds a line, or JSON.", show_default=False)
    ],
    *,
    note: NoteOption = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Set the beats of a song from a file.

    A line may also have the position in the bar: `12.345 1` is a downbeat.

    Example: ./k1 beats edit trk_01JABCDEF night.beats --note "by ear"
    """
    from k1_cli.songs.beats_file import read_beats

    given = read_beats(file)
    _change(track, version, home, note, lambda _gateway, _held: given, as_json=as_json)


@app.command()
def half(
    track: TrackArgument,
    *,
    second: Annotated[bool, typer.Option(help="Keep the second beat and every other one after it.")] = False,
    note: NoteOption = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Keep every other beat.

    Example: ./k1 beats half trk_01JABCDEF
    """
    _operate(track, version, home, note, {"operation": "half", "phase": int(second)}, as_json=as_json)


@app.command()
def double(
    track: TrackArgument,
    *,
    note: NoteOption = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Add a beat in the middle of every two.

    Example: ./k1 beats double trk_01JABCDEF
    """
    _operate(track, version, home, note, {"operation": "double"}, as_json=as_json)


@app.command()
def shift(
    track: TrackArgument,
    milliseconds: Annotated[
        float, typer.Argument(help="Later; negative (after `--`) is earlier.", show_default=False)
    ],
    *,
    note: NoteOption = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Move all beats.

    Example: ./k1 beats shift trk_01JABCDEF -- -12.5
    """
    operation = {"operation": "shift", "shift_ms": milliseconds}
    _operate(track, version, home, note, operation, as_json=as_json)


@app.command()
def set_downbeat(
    track: TrackArgument,
    beat: Annotated[
        int, typer.Argument(min=1, help="The beat that begins a bar: 1 is the first.", show_default=False)
    ],
    *,
    beats_per_bar: Annotated[
        int | None, typer.Option(min=1, max=32, help="By default as in the bar at this place.")
    ] = None,
    note: NoteOption = None,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Begin a bar at a beat; the bars after it are counted anew.

    Example: ./k1 beats set-downbeat trk_01JABCDEF 3
    """
    operation: JsonObject = {"operation": "set_downbeat", "index": beat - 1}
    if beats_per_bar is not None:
        operation["beats_per_bar"] = beats_per_bar
    _operate(track, version, home, note, operation, as_json=as_json)


@app.command()
def undo(
    track: TrackArgument,
    version: VersionOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Go back to the beats that the analysis found.

    Example: ./k1 beats undo trk_01JABCDEF
    """
    with open_gateway(home) as gateway:
        track_id, number = _version(gateway, track, version)
        saved = gateway.remove_beats(track_id, number, gateway.beats(track_id, number)["etag"])
    print_json(saved) if as_json else _print_saved(saved)


def _operate(
    track: str, version: int | None, home: Path, note: str | None, operation: JsonObject, *, as_json: bool
) -> None:
    """Apply an operation of the gateway to the beats of a version and save the result."""

    def changed(gateway: "GatewayClient", held: JsonObject) -> JsonObject:
        found = gateway.preview_beats(held["track_id"], held["version"], operation)
        return {"beats_ms": found["beats_ms"], "downbeats": found["downbeats"]}

    _change(track, version, home, note, changed, as_json=as_json)


def _change(
    track: str,
    version: int | None,
    home: Path,
    note: str | None,
    changed: Callable[["GatewayClient", JsonObject], JsonObject],
    *,
    as_json: bool,
) -> None:
    """Save what `changed` makes of the beats of a version, unless someone else has saved others meanwhile."""
    with open_gateway(home) as gateway:
        track_id, number = _version(gateway, track, version)
        held = gateway.beats(track_id, number)
        body = changed(gateway, held) | ({"note": note} if note is not None else {})
        saved = gateway.save_beats(track_id, number, body, held["etag"])
    print_json(saved) if as_json else _print_saved(saved)


def _version(gateway: "GatewayClient", track: str, version: int | None) -> tuple[str, int]:
    from k1_cli.api.lookup import current_version, find_track

    found = gateway.track(find_track(gateway, track))["track"]
    return found["id"], version or current_version(found)


def _print_beats(found: JsonObject) -> None:
    beats, bars = found["beats_ms"], found["downbeats"]
    results.print(
        f"version {found['version']}: {count_of(len(beats), 'beat')}, {count_of(len(bars), 'downbeat')}, "
        f"{found['bpm']:.2f} BPM in {found['time_signature']}"
    )
    override = found.get("override")
    if override is None:
        results.print("found by the analysis")
        return
    when = override["created_at"][:16].replace("T", " ")
    results.print(f"set by {override['author']['name']} at {when}, from version {found['base_version']}")
    if override.get("note"):
        results.print(f"note: {override['note']}")
    results.print(f"against the automatic beats: {_changes(override['changes'])}")
    results.print(
        f"the automatic beats had an F-measure of {override['f_measure']:.2f}, Cemgil {override['cemgil']:.2f}"
    )


def _print_saved(saved: JsonObject) -> None:
    if saved["removed"]:
        results.print(f"version {saved['version']} has the beats of the analysis again")
    else:
        changes = _changes(saved["changes"])
        results.print(
            f"version {saved['version']} is {saved['status']}: {count_of(saved['beat_count'], 'beat')}, "
            f"{saved['bpm']:.2f} BPM; against the automatic beats: {changes}"
        )
    for warning in saved["warnings"]:
        results.print(f"warning: {warning['message']} ({warning['code']})", style="yellow")


def _changes(changes: JsonObject) -> str:
    return (
        f"{changes['same']} the same, {changes['moved_count']} moved, {changes['added_count']} added, "
        f"{changes['removed_count']} removed"
    )
