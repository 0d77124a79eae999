"""The commands `k1 compose`: what docker compose needs before it starts the system."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import Annotated, Final

import typer

from k1_cli.checkout import ROOT
from k1_cli.output.console import messages

_FOLDER: Final = ROOT / "secrets"
app = typer.Typer(help="The system in containers.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `compose` a group, also while it has one command."""


@app.command()
def init(
    folder: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="Where the secrets are kept; for another folder set K1_SECRETS_FOLDER for docker compose.",
            show_default=str(_FOLDER),
        ),
    ] = _FOLDER,
) -> None:
    """Make the passwords and keys that docker-compose.yml mounts; what exists is not changed.

    Where .env has a K1_PASSWORD of an earlier release, the databases know it, so it is kept.

    Example: ./k1 compose init
    """
    from k1_cli.compose_secrets import ALERT_RECEIVERS, has_alert_receiver, make_secrets, password_of_env

    known = password_of_env(ROOT / ".env")
    done = make_secrets(folder, known)
    if not done.made:
        messages.print(f"k1: {folder} has every secret; nothing was changed")
    else:
        origin = "with the K1_PASSWORD of .env" if known else "at random"
        messages.print(f"k1: made {len(done.made)} secrets in {folder} {origin}: {', '.join(done.made)}")
        if known:
            messages.print("k1: docker compose no longer reads K1_PASSWORD: remove it from .env")
        messages.print("k1: keep a copy in a safe place: without them the data of the volumes cannot be read")
    if not has_alert_receiver(folder):
        messages.print(
            f"k1: alerts go nowhere until an address is in {folder / ALERT_RECEIVERS}:"
            " docs/monitoring.md says which files"
        )
    elsewhere = "" if folder == _FOLDER else f"K1_SECRETS_FOLDER={folder.absolute()} "
    messages.print(f"k1: now start the system: {elsewhere}docker compose up --build --wait")
