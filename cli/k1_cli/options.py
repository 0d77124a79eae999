"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.hints import use_home


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
