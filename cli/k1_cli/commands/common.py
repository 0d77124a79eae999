"""Options and helpers that several commands share."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.output.hints import set_home

if TYPE_CHECKING:
    from k1_cli.api.client import GatewayClient


def _accept_home(home: Path) -> Path:
    """Set the home for hints and return it.

    Raises:
        BadParameter: the name is not UTF-8, but the settings files of the servers contain it.
    """
    try:
        str(home).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(f"the name of the folder {home} is not UTF-8; choose another one") from error
    set_home(home)
    return home


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="K1_HOME",
        callback=_accept_home,
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
VersionOption = Annotated[int | None, typer.Option(help="The version; the current one by default.", min=1)]


def open_gateway(home: Path) -> "GatewayClient":
    """Return a client of the gateway of the stack that runs on this home, with the credential that is kept there.

    Raises:
        CommandError: no stack runs on it, or a credential cannot be read.
    """
    from k1_cli.api.client import GatewayClient
    from k1_cli.api.credentials import find_credential
    from k1_cli.stack.running_stack import require_stack

    stack = require_stack(home)
    return GatewayClient(stack.url, stack.network.ca, find_credential(stack.home.root))
