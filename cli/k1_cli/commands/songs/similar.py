"""The command `k1 similar`: the songs that sound most like a song."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, open_gateway
from k1_cli.output.console import print_json, results
from k1_cli.output.hints import k1_command


def similar(
    track: TrackArgument,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many at most.")] = 10,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the songs that sound most like a song, nearest first, and why.

    Example: ./k1 similar "My song"
    """
    from k1_cli.api.lookup import find_track
    from k1_cli.output.table import TextTable

    with open_gateway(home) as gateway:
        found = gateway.similar(find_track(gateway, track), limit)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        results.print(f"there is no other song to compare; {k1_command('upload SONG')} sends one")
        return
    table = TextTable(
        ("distance", "title", "BPM", "why"), flexible=("title", "why"), right_aligned=("distance", "BPM")
    )
    for item in found["items"]:
        bpm = f"{item['track']['bpm']:.1f}" if item["track"].get("bpm") else ""
        table.add(f"{item['distance']:.2f}", item["track"]["title"], bpm, item["why"])
    results.print(table)
