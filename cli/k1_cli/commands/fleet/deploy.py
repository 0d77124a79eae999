"""The command `k1 deploy`: puts a version on devices, in batches that are rolled back together after a failure."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, TrackArgument, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of
from k1_cli.output.hints import k1_command, rewrite_commands

if TYPE_CHECKING:
    from k1_cli.api.client import GatewayClient
    from k1_contracts.messages.deploy.deployment_queries import Check, DeploymentPlan, DevicePlan


def deploy(
    track: TrackArgument,
    *,
    version: Annotated[
        int | None, typer.Option(help="The version; the current one by default.", min=1)
    ] = None,
    devices: Annotated[str | None, typer.Option(help="Ids, separated by commas.")] = None,
    group: Annotated[str | None, typer.Option(help="The devices of a group.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All devices.")] = False,
    canary: Annotated[
        int | None, typer.Option(min=0, help="The number of devices that go first, alone.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="The number of devices per batch after that; all by default.")
    ] = None,
    max_failures: Annotated[
        str | None,
        typer.Option(help="Continue with up to so many failed devices: 2, or 10%. None by default."),
    ] = None,
    observe: Annotated[
        float | None, typer.Option(min=0, help="Observe each batch for so many seconds; 10 by default.")
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="MS/BARS",
            help="Go on only if the first batch drifts by at most MS for so many bars: 20/8. Otherwise roll back.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Activate at this time, such as 2031-01-31T20:00:00Z; it must not be past."
        ),
    ] = None,
    on_downbeat: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK@TIME", help="Activate on a downbeat of the track that began to play at this time."
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GATE[:DEVICE]=REASON",
            help="Pass a gate in spite of its result, with your reason; may be repeated.",
        ),
    ] = None,
    requested_by: Annotated[
        str | None, typer.Option("--by", help="Your name for the audit trail; your login by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Watch it until it ends; fails unless it succeeds.")
    ] = False,
    png: Annotated[Path | None, typer.Option(help="Watch, then draw the timeline, to this PNG file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a track's show on devices: stage it on all, then activate and observe it, the canary first, then in batches.

    Example: ./k1 deploy trk_01JABCDEF --group stage --canary 1 --batch-size 10 --watch
    """
    from k1_cli.api.lookup import current_version, find_track
    from k1_cli.deployments.deployment_request import (
        build_request,
        build_strategy,
        check_activation_time,
        split_device_ids,
    )
    from k1_cli.person import login_name

    if sum((devices is not None, group is not None, every)) != 1:
        raise typer.BadParameter("give one of --devices, --group and --all")
    if at is not None and on_downbeat is not None:
        raise typer.BadParameter("give --at or --on-downbeat")
    moment = check_activation_time(at, datetime.now(UTC)) if at is not None else None
    strategy = build_strategy(canary, batch_size, max_failures, observe, quality)
    with open_gateway(home) as gateway:
        track_id = find_track(gateway, track)
        request = build_request(
            track_id,
            version or current_version(gateway.track(track_id)["track"]),
            device_ids=_all_device_ids(gateway) if every else split_device_ids(devices) if devices else None,
            group=group,
            strategy=strategy,
            activation=_activation(gateway, moment, on_downbeat),
            overrides=override or [],
            requested_by=requested_by or login_name(),
            dry_run=dry_run,
        )
        answer = gateway.deploy(request)
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


def _all_device_ids(gateway: "GatewayClient") -> list[str]:
    from k1_cli.api.lookup import list_devices

    ids = [device.id for device in list_devices(gateway)]
    if not ids:
        raise CommandError(f"there are no devices; add some with {k1_command('devices add --count 4')}")
    return ids


def _activation(gateway: "GatewayClient", at: str | None, on_downbeat: str | None) -> dict[str, Any] | None:
    from k1_cli.api.lookup import current_version, find_track
    from k1_cli.deployments.deployment_request import parse_downbeat

    if at is not None:
        return {"when": "time", "at": at}
    if on_downbeat is None:
        return None
    reference, started_at = parse_downbeat(on_downbeat)
    track = gateway.track(find_track(gateway, reference))["track"]
    version = current_version(track)
    return {"when": "downbeat", "track_id": track["id"], "version": version, "started_at": started_at}


def _watch(gateway: "GatewayClient", deployment_id: str, png: Path | None, as_json: bool) -> None:
    from k1_cli.deployments.rendering import describe_end
    from k1_cli.deployments.timeline.drawing import write_timeline
    from k1_cli.deployments.watch import watch_deployment

    try:
        live = watch_deployment(gateway, deployment_id)
    except KeyboardInterrupt as error:
        hint = f"{k1_command(f'deployments cancel {deployment_id}')} stops it"
        raise CommandError(f"not watching any more; the deployment goes on, {hint}") from error
    if png is not None:
        write_timeline(live.view, live.title, png)
    if as_json:
        print_json(live.view.model_dump(mode="json", exclude_none=True))
    else:
        results.print(describe_end(live))
    if live.view.status != "succeeded":
        raise typer.Exit(1)


def _show_plan(answer: dict[str, Any], as_json: bool) -> None:
    from k1_contracts.messages.deploy.deployment_queries import DeploymentPlan

    if as_json:
        print_json(answer)
        return
    plan = DeploymentPlan.model_validate(answer)
    _print_plan(plan)
    if not plan.would_start:
        raise typer.Exit(1)


def _print_plan(plan: "DeploymentPlan") -> None:
    from rich.text import Text

    from k1_cli.output.table import TextTable

    for check in plan.checks:
        results.print(f"the show: {_describe_check(check)}")
    table = TextTable(
        ("device", "batch", "runs", "changes"), flexible=("device", "runs"), cut_in_middle=("device",)
    )
    for device in plan.devices:
        runs = f"{device.runs.track_id} v{device.runs.version}" if device.runs else "idle"
        failed_checks = "; ".join(_describe_check(check) for check in device.checks if not check.passed)
        batch = str(device.batch) if device.batch else Text("blocked", style="red")
        table.add(device.device_id, batch, runs, _changes(plan, device), note=failed_checks)
    results.print(table)
    for number, step in enumerate(plan.steps, start=1):
        results.print(f"{number}. {step}")
    if plan.waits_for:
        results.print(f"waits for {', '.join(plan.waits_for)}")
    results.print("it would start" if plan.would_start else "it would not start")


def _changes(plan: "DeploymentPlan", device: "DevicePlan") -> str:
    """Return how many nodes of the graph change for a device, or an empty text where that is not known."""
    impact = plan.impacts.get(device.runs.bundle_sha256) if device.runs else None
    if impact is None:
        return ""
    return count_of(len(impact.changed_nodes), "node") if impact.changed_nodes else "no node"


def _describe_check(check: "Check") -> str:
    if check.passed:
        return f"{check.gate} passes"
    verdict = "overridden" if check.overridden else "FAILS"
    return f"{check.gate} {verdict}{f': {rewrite_commands(check.reason)}' if check.reason else ''}"
