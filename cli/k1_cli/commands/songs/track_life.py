"""The commands `k1 history` and `k1 delete`, and the restoration of a deleted track for `k1 restore`."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, open_gateway
from k1_cli.output.console import print_json, results
from k1_cli.output.hints import k1_command

_MAX_VALUE = 60


def history(
    track: TrackArgument,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many events at most.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show who changed a track, when and how, newest first.

    Example: ./k1 history trk_01JABCDEF
    """
    from k1_cli.api.lookup import find_track

    with open_gateway(home) as gateway:
        page = gateway.history(find_track(gateway, track), limit=limit)
    if as_json:
        print_json(page)
        return
    for event in page["items"]:
        detail = f": {event['detail']}" if event.get("detail") else ""
        results.print(f"{event['at']} {event['action']} by {event['actor']['name']}{detail}")
        for line in _changes(event):
            results.print(f"    {line}")
    results.print(f"{len(page['items'])} of {page['total']} events")


def delete(track: TrackArgument, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Delete a track and cancel its jobs. It can be restored for 30 days.

    Example: ./k1 delete trk_01JABCDEF
    """
    from k1_cli.api.lookup import find_track

    with open_gateway(home) as gateway:
        deleted = gateway.delete_track(find_track(gateway, track))
    if as_json:
        print_json(deleted)
        return
    command = k1_command(f"restore {deleted['track_id']}")
    results.print(f"{deleted['track_id']}: deleted; {command} brings it back until {deleted['purge_at']}")


def restore_track(track: str, undo_token: str | None, home: Path, *, as_json: bool) -> None:
    """Restore a deleted track, and print how it is now."""
    from k1_cli.api.lookup import find_track

    with open_gateway(home) as gateway:
        restored = gateway.restore_track(find_track(gateway, track, is_deleted=True), undo_token)
    if as_json:
        print_json(restored)
        return
    what = "restored" if restored["restored"] else "was not deleted"
    results.print(f"{restored['track_id']}: {what}, it is {restored['status']}")


def _changes(event: dict[str, Any]) -> list[str]:
    """Return a line for each changed field of the track itself; of a new track, none."""
    before = (event.get("before") or {}).get("track") or {}
    after = (event.get("after") or {}).get("track") or {}
    hidden = {"updated_at", "revision"}
    return [
        f"{name}: {_shown(before.get(name))} -> {_shown(after.get(name))}"
        for name in sorted(before.keys() & after.keys() - hidden)
    ]


def _shown(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."
