"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="K1_HOME",
        help="The folder of the stack: data, logs, credentials.",
        show_default=str(DEFAULT_HOME),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document for a script.")]
