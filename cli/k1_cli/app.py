"""The table of all `k1` commands, and `main`, which runs one of them."""

import sys
from contextvars import copy_context
from typing import Annotated

import typer

from k1_cli.commands.access import keys, mail, sign_in, users
from k1_cli.commands.development import checks, containers, supply, web
from k1_cli.commands.fleet import alarms, deploy, deployments, devices, sim, telemetry
from k1_cli.commands.songs import beats, exports, jobs, local, shows, similar, songs, storage, track_life
from k1_cli.commands.system import backup, compose, dead_letters, stack
from k1_cli.error_report import report_error
from k1_cli.output.console import accept_any_text

app = typer.Typer(
    name="k1",
    help="K1 Song Analysis: from a song to its Genesis map. Every command explains itself with --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (stack.up, stack.down, stack.status, checks.doctor, backup.backup, backup.restore):
    app.command(rich_help_panel="The system")(command)
app.add_typer(dead_letters.app, name="dlq", rich_help_panel="The system")
app.add_typer(compose.app, name="compose", rich_help_panel="The system")
app.add_typer(storage.app, name="storage", rich_help_panel="The system")
for command in (sign_in.login, sign_in.logout, sign_in.whoami):
    app.command(rich_help_panel="Accounts")(command)
app.add_typer(users.app, name="users", rich_help_panel="Accounts")
app.add_typer(keys.app, name="keys", rich_help_panel="Accounts")
app.add_typer(mail.app, name="mail", rich_help_panel="The system")
for command in (
    songs.upload,
    songs.tracks,
    songs.genesis,
    exports.export,
    similar.similar,
    track_life.history,
    track_life.delete,
):
    app.command(rich_help_panel="Songs")(command)
app.add_typer(jobs.app, name="jobs", rich_help_panel="Songs")
app.add_typer(beats.app, name="beats", rich_help_panel="Songs")
app.add_typer(storage.links_app, name="links", rich_help_panel="Songs")
for command in (shows.simulate, shows.graph):
    app.command(rich_help_panel="Shows")(command)
app.add_typer(devices.app, name="devices", rich_help_panel="Devices")
app.add_typer(alarms.app, name="alarms", rich_help_panel="Devices")
app.command(rich_help_panel="Devices")(alarms.fleet)
app.command(rich_help_panel="Devices")(deploy.deploy)
app.add_typer(deployments.app, name="deployments", rich_help_panel="Devices")
for command in (telemetry.telemetry, telemetry.drift, sim.sim):
    app.command(rich_help_panel="Devices")(command)
for command in (local.analyze, local.demo_song):
    app.command(rich_help_panel="Without servers")(command)
app.command(rich_help_panel="Development", context_settings=checks.PASS_ARGUMENTS_ON)(checks.test)
app.command(rich_help_panel="Development")(checks.check)
app.command(rich_help_panel="Development")(checks.soak)
app.add_typer(containers.app, name="containers", rich_help_panel="Development")
for command in (supply.sbom, supply.audit):
    app.command(rich_help_panel="Development")(command)
app.add_typer(web.app, name="web", rich_help_panel="Development")


@app.callback()
def options(
    *, debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False
) -> None:
    """Add `--debug` to the help text; `main` reads the option itself, wherever it stands."""
    del debug


def split_debug_option(arguments: list[str]) -> tuple[bool, list[str]]:
    """Return whether `--debug` was given, and the other arguments.

    What follows `test` or `run` is left alone: it belongs to pytest, or to another command.
    """
    ours = min(
        (arguments.index(name) for name in ("test", "run") if name in arguments), default=len(arguments)
    )
    kept = [argument for argument in arguments[:ours] if argument != "--debug"]
    return len(kept) < ours, kept + arguments[ours:]


def main() -> None:
    """Run the command line and exit: 0 for success, 1 for an error, 2 for a usage error."""
    debug, arguments = split_debug_option(sys.argv[1:])
    accept_any_text()
    # A separate context: the home that hints name is set for this command only.
    sys.exit(copy_context().run(_run, arguments, debug=debug))


def _run(arguments: list[str], *, debug: bool) -> int:
    try:
        # Not in typer's standalone mode: that would print a wrong argument without escaping it.
        code: object = app(arguments, prog_name="k1", standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001  the last line of defence: a sentence, not a stack trace
        return report_error(error, debug=debug)
    return code if isinstance(code, int) else 0
