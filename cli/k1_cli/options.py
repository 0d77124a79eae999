"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME


def _in_utf8(home: Path) -> Path:
    """The servers' own settings files name the home, and they are UTF-8."""
    try:
        str(home).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(f"the name of the folder {home} is not UTF-8; choose another one") from error
    return home


HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="K1_HOME",
        callback=_in_utf8,
        help="The folder of the stack: data, logs, credentials.",
        show_default=str(DEFAULT_HOME),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a script.")]
