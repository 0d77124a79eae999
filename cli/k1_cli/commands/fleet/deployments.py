"""The commands `k1 deployments ...`: list, show, draw, cancel, roll back, pause and resume deployments."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.output.console import print_json, results
from k1_cli.output.hints import k1_command

if TYPE_CHECKING:
    from k1_contracts.messages.deploy.deployment_queries import (
        DeploymentPage,
        DeploymentSummary,
        DeploymentView,
    )

IdArgument = Annotated[
    str, typer.Argument(help="The id, a prefix of it, or the title of the song.", metavar="ID")
]
ReasonOption = Annotated[str | None, typer.Option(help="The reason, for the audit trail.")]

app = typer.Typer(help="Deployments: list, show, cancel, roll back, pause, resume.", no_args_is_help=True)


@app.command("list")
def list_all(
    *,
    track: Annotated[str | None, typer.Option(help="Only those of a track.")] = None,
    device: Annotated[str | None, typer.Option(help="Only those of a device.")] = None,
    status: Annotated[str | None, typer.Option(help="Only those in a status, such as `staging`.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the newest deployments.

    Example: ./k1 deployments list --status rollback_pending
    """
    from k1_cli.api.lookup import find_track, song_titles
    from k1_contracts.messages.deploy.deployment_queries import DeploymentPage

    with open_gateway(home) as gateway:
        track_id = find_track(gateway, track) if track else None
        given = {"track_id": track_id, "device_id": device, "status": status}
        page = gateway.deployments(limit=limit, **{name: value for name, value in given.items() if value})
        if as_json:
            print_json(page)
            return
        found = DeploymentPage.model_validate(page)
        titles = song_titles(gateway, [item.track_id for item in found.items])
    _print_page(found, titles)


@app.command()
def show(
    deployment_id: IdArgument,
    png: Annotated[Path | None, typer.Option(help="Draw the timeline, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one deployment: its devices, their steps, the event log and the audit trail.

    Example: ./k1 deployments show dep_01JABCDEF --png timeline.png
    """
    from k1_cli.api.lookup import find_deployment, song_title
    from k1_contracts.messages.deploy.deployment_queries import DeploymentView

    with open_gateway(home) as gateway:
        document = gateway.deployment(find_deployment(gateway, deployment_id))
        view = DeploymentView.model_validate(document)
        title = song_title(gateway, view.track_id)
    if png is not None:
        from k1_cli.deployments.timeline.drawing import write_timeline

        write_timeline(view, title, png)
    if as_json:
        print_json(document)
    elif png is None:
        _print_view(view, title)


@app.command()
def cancel(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Stop a running deployment: discard what was staged, roll back what was activated.

    Example: ./k1 deployments cancel dep_01JABCDEF --reason "wrong song"
    """
    _control(home, deployment_id, "cancel", reason)


@app.command()
def rollback(deployment_id: IdArgument, reason: ReasonOption = None, home: HomeOption = DEFAULT_HOME) -> None:
    """Make the devices run what they ran before, also after a success.

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
    """Continue after a pause.

    Example: ./k1 deployments resume dep_01JABCDEF
    """
    _control(home, deployment_id, "resume", reason)


def _control(home: Path, deployment_id: str, action: str, reason: str | None) -> None:
    from k1_cli.api.lookup import find_deployment
    from k1_cli.person import login_name
    from k1_contracts.messages.deploy.deployment_queries import DeploymentView

    body = {"requested_by": login_name(), **({"reason": reason} if reason else {})}
    with open_gateway(home) as gateway:
        answer = gateway.control(find_deployment(gateway, deployment_id), action, body)
    results.print(_after_control(DeploymentView.model_validate(answer), action))


def _after_control(view: "DeploymentView", action: str) -> str:
    """Return the new status, and while it is not final the command that shows the progress."""
    from k1_cli.deployments.live_view import FINISHED
    from k1_cli.output.formatting import display_name

    state = f"{view.id}: {display_name(view.status)}{', paused' if view.paused else ''}"
    rollback_pending = action == "rollback" and view.status == "succeeded"
    if view.status in FINISHED and not rollback_pending:
        return state
    begun = ", the rollback has not begun yet" if rollback_pending else ""
    return f"{state}{begun}; {k1_command(f'deployments show {view.id}')} tells how far it is"


def _print_page(found: "DeploymentPage", titles: dict[str, str]) -> None:
    from k1_cli.output.formatting import count_of
    from k1_cli.output.table import TextTable

    table = TextTable(("id", "at", "status", "song", "devices"), flexible=("song", "devices"))
    for item in found.items:
        table.add(*_cells(item, titles), note=item.reason or "")
    if found.items:
        results.print(table)
    total = count_of(found.total, "deployment")
    shown = len(found.items)
    results.print(total if shown == found.total else f"{shown} of {total}")


def _cells(item: "DeploymentSummary", titles: dict[str, str]) -> tuple[str, ...]:
    from k1_cli.output.formatting import display_name

    counts = ", ".join(f"{count} {display_name(outcome)}" for outcome, count in item.counts.items())
    paused = ", paused" if item.paused else ""
    at = f"{item.created_at:%m-%d %H:%M}"
    return item.id, at, f"{display_name(item.status)}{paused}", titles[item.track_id], counts


def _print_view(view: "DeploymentView", title: str) -> None:
    from k1_cli.deployments.live_view import LiveView
    from k1_cli.deployments.rendering import render

    results.print(render(LiveView(view, title), view.ended_at or view.updated_at))
    for line in view.audit:
        detail = f": {line.detail}" if line.detail else ""
        results.print(f"{line.at:%Y-%m-%d %H:%M:%S} {line.actor}: {line.action}{detail}")
