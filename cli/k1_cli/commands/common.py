"""Options and helpers that several commands share."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.output.hints import use_home

if TYPE_CHECKING:
    from k1_cli.api.client import Gateway


def _take_home(home: Path) -> Path:
    """Refuse a name that is not UTF-8, as the servers' settings files name the home; hints name it from here on."""
    try:
        str(home).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(f"the name of the folder {home} is not UTF-8; choose another one") from error
    use_home(home)
    return home


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="K1_HOME",
        callback=_take_home,
        file_okay=False,
        help="The folder of the stack: data, logs, credentials.",
        show_default=str(DEFAULT_HOME),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a script.")]
TrackArgument = Annotated[
    str,
    typer.Argument(
        help="The track: its id, a prefix of its id, or its title.", metavar="TRACK", show_default=False
    ),
]
VersionOption = Annotated[int | None, typer.Option(help="The current version by default.", min=1)]


def open_gateway(home: Path) -> "Gateway":
    """A client of the stack that runs on this home; raises CommandError when none does."""
    from k1_cli.api.client import Gateway
    from k1_cli.stack.running_stack import need_stack

    stack = need_stack(home)
    return Gateway(stack.url, stack.network.ca)
