"""The commands `k1 containers`: the system in real containers, for tests."""

import subprocess
import sys
from typing import Annotated

import typer

from k1_cli.checkout import ROOT

app = typer.Typer(
    help="Tests in real containers, on the Docker of this machine or on one that is made for it.",
    no_args_is_help=True,
)


@app.command("test")
def run_test(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the system running at the end.")] = False,
    revision: Annotated[
        str | None,
        typer.Option("--from", help="The commit to upgrade from.", show_default="the last tag"),
    ] = None,
) -> None:
    """Build the images, start the system, use it, cut networks, and upgrade the release before under load.

    Without Docker, root on Debian gets an engine in /var/tmp/k1-containers (11 GB), and stand-ins of images that
    cannot be pulled.

    Example: ./k1 containers test --from v1.0.0
    """
    options = ["--keep"] if keep else []
    options += ["--from", revision] if revision is not None else []
    _run("test", *options)


@app.command(
    "run",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def run_command(context: typer.Context) -> None:
    """Run a command with DOCKER_HOST set, where the ports of the containers are published.

    Example: ./k1 containers run env K1_TEST_INFRA=containers ./k1 test tests/integration
    """
    _run("run", *context.args)


@app.command()
def down() -> None:
    """Remove what `test --keep` left, with its volumes, and stop the engine that was made for it.

    Example: ./k1 containers down
    """
    _run("down")


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.containers", *arguments], cwd=ROOT, check=False)
    raise typer.Exit(done.returncode)
