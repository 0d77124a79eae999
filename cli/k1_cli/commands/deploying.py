"""`k1 deploy`: a version on devices, in batches that go back together when something fails."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.songs import TrackArgument, current_version, open_gateway
from k1_cli.console import print_json, results
from k1_cli.errors import CommandError
from k1_cli.formatting import count_of
from k1_cli.hints import k1_command, typed_commands
from k1_cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from k1_cli.gateway import Gateway
    from k1_contracts.messages.deployment_queries import Check, DeploymentPlan, DevicePlan


def deploy(
    track: TrackArgument,
    *,
    version: Annotated[int | None, typer.Option(help="The current version by default.", min=1)] = None,
    devices: Annotated[str | None, typer.Option(help="Ids with commas between.")] = None,
    group: Annotated[str | None, typer.Option(help="The devices of a group.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All devices.")] = False,
    canary: Annotated[int | None, typer.Option(min=0, help="So many devices go first, alone.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Then so many at a time; together by default.")
    ] = None,
    max_failures: Annotated[
        str | None, typer.Option(help="Go on with so many failed devices: 2, or 10%. None by default.")
    ] = None,
    observe: Annotated[
        float | None, typer.Option(min=0, help="Watch each batch so many seconds; 10 by default.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Activate at this time, 2031-01-31T20:00:00Z say; not one that is past."
        ),
    ] = None,
    on_downbeat: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK@TIME", help="Activate on a downbeat of the track that began to play then."
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(metavar="GATE[:DEVICE]=REASON", help="Pass a gate on your word; may be repeated."),
    ] = None,
    requested_by: Annotated[
        str | None, typer.Option("--by", help="Who asks, for the audit trail; your login by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow it to its end; fails unless it succeeds.")
    ] = False,
    png: Annotated[Path | None, typer.Option(help="Watch, then draw the timeline, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a track's show on devices: staged on all, then activated, canary and batches first, then watched.

    Example: ./k1 deploy trk_01JABCDEF --group stage --canary 1 --batch-size 10 --watch
    """
    from k1_cli.lookup import find_track
    from k1_cli.ordering import future_moment, login, order_of, split_devices, strategy_of

    if sum((devices is not None, group is not None, every)) != 1:
        raise typer.BadParameter("give one of --devices, --group and --all")
    if at is not None and on_downbeat is not None:
        raise typer.BadParameter("give --at or --on-downbeat")
    moment = future_moment(at, datetime.now(UTC)) if at is not None else None
    strategy = strategy_of(canary, batch_size, max_failures, observe)
    with open_gateway(home) as gateway:
        track_id = find_track(gateway, track)
        order = order_of(
            track_id,
            version or current_version(gateway.track(track_id)["track"]),
            device_ids=_every_id(gateway) if every else split_devices(devices) if devices else None,
            group=group,
            strategy=strategy,
            activation=_activation(gateway, moment, on_downbeat),
            overrides=override or [],
            requested_by=requested_by or login(),
            dry_run=dry_run,
        )
        answer = gateway.deploy(order)
        if dry_run:
            _show_plan(answer, as_json)
        elif watch or png is not None:
            _watch(gateway, answer["deployment_id"], png, as_json)
        elif as_json:
            print_json(answer)
        else:
            deployment_id = answer["deployment_id"]
            more = f"{k1_command(f'deployments show {deployment_id}')} tells how far it is"
            results.print(f"{deployment_id}: {answer['status']}; {more}")


def _every_id(gateway: "Gateway") -> list[str]:
    from k1_cli.commands.devices import all_devices

    ids = [device.id for device in all_devices(gateway)]
    if not ids:
        raise CommandError(f"there are no devices; add some with {k1_command('devices add --count 4')}")
    return ids


def _activation(gateway: "Gateway", at: str | None, on_downbeat: str | None) -> dict[str, Any] | None:
    from k1_cli.lookup import find_track
    from k1_cli.ordering import split_moment

    if at is not None:
        return {"when": "time", "at": at}
    if on_downbeat is None:
        return None
    meant, started_at = split_moment(on_downbeat)
    track = gateway.track(find_track(gateway, meant))["track"]
    version = current_version(track)
    return {"when": "downbeat", "track_id": track["id"], "version": version, "started_at": started_at}


def _watch(gateway: "Gateway", deployment_id: str, png: Path | None, as_json: bool) -> None:
    from k1_cli.commands.deployments import draw
    from k1_cli.following import follow
    from k1_cli.watching import sentence

    try:
        board = follow(gateway, deployment_id)
    except KeyboardInterrupt as error:
        hint = f"{k1_command(f'deployments cancel {deployment_id}')} stops it"
        raise CommandError(f"not watching any more; the deployment goes on, {hint}") from error
    if png is not None:
        draw(board.view, board.title, png)
    if as_json:
        print_json(board.view.model_dump(mode="json", exclude_none=True))
    else:
        results.print(sentence(board))
    if board.view.status != "succeeded":
        raise typer.Exit(1)


def _show_plan(answer: dict[str, Any], as_json: bool) -> None:
    from k1_contracts.messages.deployment_queries import DeploymentPlan

    if as_json:
        print_json(answer)
        return
    plan = DeploymentPlan.model_validate(answer)
    _print_plan(plan)
    if not plan.would_start:
        raise typer.Exit(1)


def _print_plan(plan: "DeploymentPlan") -> None:
    from rich.text import Text

    from k1_cli.grid import Grid

    for check in plan.checks:
        results.print(f"the show: {_told(check)}")
    table = Grid(("device", "batch", "runs", "changes"), flexible=("device", "runs"), middle=("device",))
    for device in plan.devices:
        runs = f"{device.runs.track_id} v{device.runs.version}" if device.runs else "idle"
        troubled = "; ".join(_told(check) for check in device.checks if not check.passed)
        batch = str(device.batch) if device.batch else Text("blocked", style="red")
        table.add(device.device_id, batch, runs, _changes(plan, device), note=troubled)
    results.print(table)
    for number, step in enumerate(plan.steps, start=1):
        results.print(f"{number}. {step}")
    if plan.waits_for:
        results.print(f"waits for {', '.join(plan.waits_for)}")
    results.print("it would start" if plan.would_start else "it would not start")


def _changes(plan: "DeploymentPlan", device: "DevicePlan") -> str:
    """Nodes of the graph that change for a device; nothing where that is not known."""
    impact = plan.impacts.get(device.runs.bundle_sha256) if device.runs else None
    if impact is None:
        return ""
    return count_of(len(impact.changed_nodes), "node") if impact.changed_nodes else "no node"


def _told(check: "Check") -> str:
    if check.passed:
        return f"{check.gate} passes"
    verdict = "overridden" if check.overridden else "FAILS"
    return f"{check.gate} {verdict}{f': {typed_commands(check.reason)}' if check.reason else ''}"
