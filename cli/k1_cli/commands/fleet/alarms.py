"""The commands `k1 alarms ...` and `k1 fleet`: what is wrong with the devices, and the figures of all of them."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from typing import Annotated, Any

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of
from k1_cli.output.hints import k1_command

_STATES = ("open", "acknowledged", "cleared", "all")
_ID_LENGTH = 30

app = typer.Typer(invoke_without_command=True)


@app.callback()
def list_all(
    context: typer.Context,
    *,
    state: Annotated[
        str, typer.Option(help="open, acknowledged, cleared or all; by default what is not cleared.")
    ] = "",
    device: Annotated[str | None, typer.Option(help="Only those of a device.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many of each state.")] = 50,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the alarms of the devices, the newest first; `ack` acknowledges one.

    Example: ./k1 alarms --state all
    """
    if context.invoked_subcommand is not None:
        return
    if state and state not in _STATES:
        raise typer.BadParameter(f"{state} is no state; there are {', '.join(_STATES)}")
    states = [None] if state == "all" else [state] if state else ["open", "acknowledged"]
    with open_gateway(home) as gateway:
        pages = [gateway.request("GET", "/alarms", params=_filters(each, device, limit)) for each in states]
    found = sorted((alarm for page in pages for alarm in page["items"]), key=lambda a: a["id"], reverse=True)
    total = sum(page["total"] for page in pages)
    if as_json:
        print_json({"total": total, "items": found})
        return
    if not found:
        results.print("no alarms")
        return
    from k1_cli.output.table import TextTable

    table = TextTable(("since", "device", "level", "state", "why", "id"), flexible=("device", "why"))
    for alarm in found:
        table.add(
            _time(alarm["opened_at"]),
            alarm["device_id"],
            f"{alarm['kind']} {alarm['level']}",
            _state(alarm),
            alarm["reason"],
            alarm["id"],
            note=_note(alarm),
        )
    results.print(table)
    more = f" of {total}" if total > len(found) else ""
    results.print(f"{len(found)}{more}; acknowledge one with {k1_command('alarms ack ID')}")


@app.command()
def ack(
    alarm_id: Annotated[str, typer.Argument(metavar="ID", help="The id, or its end.", show_default=False)],
    note: Annotated[str | None, typer.Option(help="What you do about it.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Acknowledge an alarm: you take care of it. The first name and note stay.

    Example: ./k1 alarms ack alm_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD --note "the router is being replaced"
    """
    with open_gateway(home) as gateway:
        found = alarm_id if len(alarm_id) == _ID_LENGTH else _find(gateway, alarm_id)
        body = {} if note is None else {"note": note}
        alarm = gateway.request("POST", f"/alarms/{found}/acknowledge", json=body)
    if as_json:
        print_json(alarm)
        return
    results.print(
        f"{alarm['device_id']}, {alarm['kind']} {alarm['level']}: acknowledged by {alarm['acknowledged_by']}"
    )


def fleet(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the figures of all devices: how many are active, what they run, alarms, deployments, the worst drift.

    Example: ./k1 fleet
    """
    with open_gateway(home) as gateway:
        figures = gateway.request("GET", "/fleet")
    if as_json:
        print_json(figures)
        return
    results.print(f"{figures['active_devices']} of {count_of(figures['devices'], 'device')} active")
    for each in figures["by_firmware"]:
        results.print(f"  firmware {each.get('firmware', 'unknown')}: {each['devices']}")
    for each in figures["by_bundle"]:
        results.print(f"  {_bundle(each)}: {each['devices']}")
    results.print(
        f"{count_of(figures['open_alarms'], 'open alarm')}, {figures['acknowledged_alarms']} acknowledged"
    )
    results.print(f"{count_of(figures['deployments_running'], 'deployment')} running")
    if "worst_drift_ms" in figures:
        results.print(
            f"worst drift {figures['worst_drift_ms']:+.1f} ms on {figures['worst_drift_device_id']}"
        )


def _filters(state: str | None, device: str | None, limit: int) -> dict[str, Any]:
    given = {"state": state, "device_id": device, "limit": limit}
    return {name: value for name, value in given.items() if value is not None}


def _find(gateway: Any, ending: str) -> str:
    """Return the id of the one open alarm whose id ends so; raise CommandError when there is none, or several."""
    from k1_cli.api.pages import all_items

    found = [
        alarm["id"]
        for alarm in all_items(gateway, "/alarms", {"state": "open"})
        if alarm["id"].endswith(ending)
    ]
    if len(found) != 1:
        what = "no open alarm" if not found else f"{len(found)} open alarms"
        raise CommandError(f"{what} with an id that ends with {ending}; {k1_command('alarms')} lists them")
    return found[0]


def _time(text: str) -> str:
    return text[:19].replace("T", " ")


def _state(alarm: dict[str, Any]) -> str:
    return f"{alarm['state']}, flaps ({alarm['openings']} times)" if alarm["flapping"] else alarm["state"]


def _note(alarm: dict[str, Any]) -> str:
    parts: list[str] = []
    if "acknowledged_by" in alarm:
        parts.append(
            f"acknowledged by {alarm['acknowledged_by']}" + (f": {alarm['note']}" if "note" in alarm else "")
        )
    if "cleared_at" in alarm:
        parts.append(f"cleared {_time(alarm['cleared_at'])}: {alarm['clear_reason']}")
    return "; ".join(parts)


def _bundle(count: dict[str, Any]) -> str:
    if "bundle_sha256" not in count:
        return "idle show"
    return f"version {count['version']} of {count['track_id']} ({count['bundle_sha256'][:12]})"
