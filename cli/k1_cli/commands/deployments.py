"""`k1 deployments`: list, show, draw, cancel, roll back, pause and resume."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.songs import open_gateway
from k1_cli.console import print_json, results
from k1_cli.errors import CommandError
from k1_cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from k1_contracts.deployments import DeploymentSummary, DeploymentView

IdArgument = Annotated[str, typer.Argument(help="As `k1 deployments list` shows it.", metavar="ID")]
ReasonOption = Annotated[str | None, typer.Option(help="Why, for the audit trail.")]

app = typer.Typer(help="Deployments: list, show, cancel, roll back, pause, resume.", no_args_is_help=True)


@app.command("list")
def list_all(
    *,
    track: Annotated[str | None, typer.Option(help="Only those of a track.")] = None,
    device: Annotated[str | None, typer.Option(help="Only those of a device.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those in a status, `staging` say.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """The newest deployments.

    Example: ./k1 deployments list --status rollback_pending
    """
    asked = {"track_id": track, "device_id": device, "status": status}
    with open_gateway(home) as gateway:
        page = gateway.deployments(limit=limit, **{name: value for name, value in asked.items() if value})
    print_json(page) if as_json else _print_page(page)


@app.command()
def show(
    deployment_id: IdArgument,
    png: Annotated[Path | None, typer.Option(help="Draw the timeline, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """One deployment: its devices, their steps, the log, who did what.

    Example: ./k1 deployments show dep_01JABCDEF --png timeline.png
    """
    from k1_contracts.deployments import DeploymentView

    with open_gateway(home) as gateway:
        document = gateway.deployment(deployment_id)
    view = DeploymentView.model_validate(document)
    if png is not None:
        draw(view, png)
    if as_json:
        print_json(document)
    elif png is None:
        _print_view(view)


@app.command()
def cancel(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Stop a deployment that runs: what was staged is discarded, what was activated goes back.

    Example: ./k1 deployments cancel dep_01JABCDEF --reason "wrong song"
    """
    _control(home, deployment_id, "cancel", reason)


@app.command()
def rollback(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Let the devices run again what they ran before, also after a success.

    Example: ./k1 deployments rollback dep_01JABCDEF
    """
    _control(home, deployment_id, "rollback", reason)


@app.command()
def pause(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Start no further step; running ones finish.

    Example: ./k1 deployments pause dep_01JABCDEF
    """
    _control(home, deployment_id, "pause", reason)


@app.command()
def resume(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Go on after a pause.

    Example: ./k1 deployments resume dep_01JABCDEF
    """
    _control(home, deployment_id, "resume", reason)


def draw(view: "DeploymentView", path: Path) -> None:
    """The timeline as a PNG file; raises CommandError where it cannot be written."""
    from k1_cli.timeline.drawing import draw_timeline

    try:
        path.write_bytes(draw_timeline(view))
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error


def _control(home: Path, deployment_id: str, action: str, reason: str | None) -> None:
    from k1_cli.ordering import login

    told = {"requested_by": login(), **({"reason": reason} if reason else {})}
    with open_gateway(home) as gateway:
        view = gateway.control(deployment_id, action, told)
    paused = ", paused" if view.get("paused") else ""
    results.print(f"{view['id']}: {view['status']}{paused}", markup=False)


def _print_page(page: dict[str, Any]) -> None:
    from rich.table import Column, Table

    from k1_contracts.deployments import DeploymentPage

    found = DeploymentPage.model_validate(page)
    at, status = Column("at", no_wrap=True), Column("status", no_wrap=True)
    table = Table(Column("id", no_wrap=True), at, status, "devices")
    for item in found.items:
        table.add_row(*_cells(item))
    results.print(table if found.items else "no deployments")
    results.print(f"{len(found.items)} of {found.total}")


def _cells(item: "DeploymentSummary") -> tuple[str, ...]:
    counts = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in item.counts.items())
    paused = " (paused)" if item.paused else ""
    at = f"{item.created_at:%m-%d %H:%M:%S}"
    status = f"{item.status.replace('_', ' ')}{paused}"
    return (item.id, at, status, f"{counts}: {item.reason}" if item.reason else counts)


def _print_view(view: "DeploymentView") -> None:
    from k1_cli.board import Board
    from k1_cli.watching import render

    results.print(render(Board(view), view.ended_at or view.updated_at))
    for line in view.audit:
        detail = f": {line.detail}" if line.detail else ""
        results.print(f"{line.at:%Y-%m-%d %H:%M:%S} {line.actor}: {line.action}{detail}", markup=False)
