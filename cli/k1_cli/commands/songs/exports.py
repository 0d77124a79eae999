"""The command `k1 export`: beats and sections of a track as a file for another program."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, TrackArgument, VersionOption, open_gateway
from k1_contracts.exports import ExportFormat


def export(
    track: TrackArgument,
    format_name: Annotated[
        ExportFormat, typer.Argument(help="The program or format.", metavar="FORMAT", show_choices=True)
    ],
    version: VersionOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; by default the title of the song in this folder.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Write the beats and sections of a track to a file for another program.

    Example: ./k1 export "My song" rekordbox
    """
    from k1_cli.api.lookup import current_version, find_track
    from k1_cli.output.files import write_output

    with open_gateway(home) as gateway:
        found = gateway.track(find_track(gateway, track))["track"]
        name, data = gateway.export(found["id"], version or current_version(found), format_name)
    write_output(out or Path(name), data)
