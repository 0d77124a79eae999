"""`k1`: the table of commands."""

import sys
from contextvars import copy_context
from typing import Annotated

import typer

from k1_cli.commands import (
    dead_letters,
    deploy,
    deployments,
    development,
    devices,
    local,
    shows,
    sim,
    songs,
    stack,
)
from k1_cli.error_report import report
from k1_cli.output.console import accept_any_text

app = typer.Typer(
    name="k1",
    help="K1 Song Analysis: from a song to its Genesis map. Every command explains itself with --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (stack.up, stack.down, stack.status, development.doctor):
    app.command(rich_help_panel="The system")(command)
app.add_typer(dead_letters.app, name="dlq", rich_help_panel="The system")
for command in (songs.upload, songs.tracks, songs.genesis):
    app.command(rich_help_panel="Songs")(command)
for command in (shows.simulate, shows.graph):
    app.command(rich_help_panel="Shows")(command)
app.add_typer(devices.app, name="devices", rich_help_panel="Devices")
app.command(rich_help_panel="Devices")(deploy.deploy)
app.add_typer(deployments.app, name="deployments", rich_help_panel="Devices")
app.command(rich_help_panel="Devices")(sim.sim)
for command in (local.analyze, local.demo_song):
    app.command(rich_help_panel="Without servers")(command)
app.command(rich_help_panel="Development", context_settings=development.PASS_ARGUMENTS_ON)(development.test)
app.command(rich_help_panel="Development")(development.check)


@app.callback()
def options(
    *, debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False
) -> None:
    """Here for the help text alone: `main` reads `--debug`, wherever it stands."""
    del debug


def take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Whether `--debug` is among the arguments, and the others; what follows `test` belongs to pytest."""
    ours = arguments.index("test") if "test" in arguments else len(arguments)
    kept = [argument for argument in arguments[:ours] if argument != "--debug"]
    return len(kept) < ours, kept + arguments[ours:]


def main() -> None:
    """Run the command line: 0 when it worked, 1 when not, 2 for a usage error."""
    debug, arguments = take_debug(sys.argv[1:])
    accept_any_text()
    # In a context of its own: the home that hints name is that of this command alone.
    sys.exit(copy_context().run(_run, arguments, debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        # Not typer's own way of ending: it would print what is wrong with an argument as it is.
        code: object = app(arguments, prog_name="k1", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  the last line of defence: a sentence, not a stack trace
        return report(error, debug=debug)
    return code if isinstance(code, int) else 0
