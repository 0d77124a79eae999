"""The commands `k1 devices ...`: add, revoke, list, show and watch devices."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption, open_gateway
from k1_cli.output.console import print_json, results
from k1_cli.output.formatting import count_of
from k1_cli.output.hints import k1_command, rewrite_commands

if TYPE_CHECKING:
    from rich.text import Text

    from k1_contracts.messages.deploy.devices import DevicesAdded, DeviceView

_FOLDER = "devices"

app = typer.Typer(help="The K1s: add, revoke, list, show, watch.", no_args_is_help=True)


@app.command()
def add(
    device_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids: 1 to 40 of A-Z a-z 0-9 - _", metavar="ID")
    ] = None,
    *,
    count: Annotated[
        int | None, typer.Option(min=1, help="Make this number of ids: k1-01, k1-02 ...")
    ] = None,
    prefix: Annotated[str, typer.Option(help="The prefix of these ids.")] = "k1-",
    mqtt: Annotated[bool, typer.Option("--mqtt", help="For MQTT 3.1.1 instead of NATS.")] = False,
    group: Annotated[
        str | None, typer.Option(help="The group; a deployment can go to a whole group.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder for the credentials; <home>/devices by default.")
    ] = None,
    renew: Annotated[
        bool,
        typer.Option("--renew", help="New credentials for existing devices; the old ones become invalid."),
    ] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the secrets instead of writing them.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Add devices: write a credential file for each, readable by you only, and the keys that sign bundles.

    Example: ./k1 devices add --count 4 --group stage
    """
    from k1_cli.devices.provisioning import (
        add_devices,
        build_requests,
        create_secret_folder,
        numbered_ids,
        write_credentials,
    )
    from k1_cli.stack.listen_options import network_lines
    from k1_cli.stack.running_stack import require_stack
    from k1_contracts.messages.deploy.devices import DeviceServers

    if bool(device_ids) == (count is not None):
        raise typer.BadParameter("give ids, or --count")
    ids = device_ids or numbered_ids(prefix, count or 0)
    requests = build_requests(ids, mqtt=mqtt, group=group, renew=renew)
    stack = require_stack(home)
    folder = out or stack.home.root / _FOLDER
    if show:
        add_devices(stack.bus, requests, _print_secrets)
        return
    create_secret_folder(folder)

    servers = DeviceServers()

    def write(added: "DevicesAdded") -> None:
        nonlocal servers
        servers = added.servers or servers
        for path in write_credentials(added, folder):
            results.print(str(path))

    add_devices(stack.bus, requests, write)
    results.print(f"{count_of(len(ids), 'device')} added; keep the files secret")
    for line in network_lines(stack.network, servers):
        results.print(line)


@app.command()
def revoke(
    device_ids: Annotated[list[str], typer.Argument(help="The devices.", metavar="ID")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Revoke the credentials of devices; connected devices are disconnected at once.

    Example: ./k1 devices revoke k1-03
    """
    from k1_cli.devices.provisioning import revoke_devices
    from k1_cli.stack.running_stack import require_stack

    revoked = revoke_devices(require_stack(home).bus, device_ids)
    results.print(f"revoked: {', '.join(revoked)}")


@app.command("list")
def list_all(
    group: Annotated[str | None, typer.Option(help="Only those of a group.")] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were revoked.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the devices: whether they are online, what they run, their alarms.

    Example: ./k1 devices list --group stage
    """
    from k1_cli.api.lookup import list_devices

    with open_gateway(home) as gateway:
        devices = list_devices(gateway, group=group, revoked=revoked)
    if as_json:
        print_json({"total": len(devices), "items": [_to_json(device) for device in devices]})
        return
    if not devices:
        results.print(f"no devices; add some with {k1_command('devices add --count 4')}")
        return
    from k1_cli.output.table import TextTable

    table = TextTable(
        ("id", "online", "by", "group", "firmware", "runs"),
        flexible=("id", "group", "firmware", "runs"),
        cut_in_middle=("id", "group"),
    )
    for device in devices:
        table.add(*_cells(device), note="; ".join(_notes(device)))
    results.print(table)
    results.print(f"{sum(device.online for device in devices)} of {len(devices)} online")


@app.command()
def show(
    device_id: Annotated[str, typer.Argument(help="The id, or a prefix of it.", metavar="ID")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show one device with everything that is known about it.

    Example: ./k1 devices show k1-01
    """
    from k1_cli.api.lookup import find_device
    from k1_cli.output.formatting import field_lines

    with open_gateway(home) as gateway:
        device = find_device(gateway, device_id)
    if as_json:
        print_json(device)
        return
    for line in field_lines(device):
        results.print(line)


@app.command()
def watch(
    device_id: Annotated[str, typer.Argument(help="The device.", metavar="ID")],
    every: Annotated[
        bool, typer.Option("--all", help="Show every message with readings; by default one per second.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show live what a device sends, what is sent to it and what is refused, until Ctrl-C.

    Example: ./k1 devices watch k1-01
    """
    import asyncio
    import sys

    from pydantic import TypeAdapter, ValidationError

    from k1_cli.api.client import NotFoundError
    from k1_cli.devices.message_watch import ObservedMessage, ReadingThrottle, watch_messages
    from k1_cli.errors import CommandError
    from k1_cli.output.console import messages
    from k1_cli.stack.nats_client import connect_nats
    from k1_cli.stack.running_stack import require_stack
    from k1_contracts.messages.deploy.device_link import DeviceId

    try:
        TypeAdapter(DeviceId).validate_python(device_id)
    except ValidationError as error:
        raise typer.BadParameter(f"{device_id} is no device id: 1 to 40 of A-Z a-z 0-9 - _") from error
    stack, throttle = require_stack(home), ReadingThrottle()

    def show_message(message: ObservedMessage) -> None:
        shown = message if every else throttle.apply(message)
        if as_json and shown is not None:
            print_json(shown.to_json())
            sys.stdout.flush()
        elif shown is not None:
            results.print(shown.to_line(), style="red" if shown.refused else None)

    with open_gateway(home) as gateway:
        try:
            gateway.device(device_id)
        except NotFoundError:
            messages.print(f"there is no device {device_id} so far; {k1_command('devices list')} lists them")
        except CommandError as error:  # the watch is for finding errors, so it starts all the same
            messages.print(f"whether there is a device {device_id} is not known: {error}")

    async def run() -> None:
        async with connect_nats(stack.bus) as client, watch_messages(client, device_id, show_message):
            messages.print(f"watching {device_id}; Ctrl-C ends")
            while client.is_connected:  # noqa: ASYNC110  there is no event for it
                await asyncio.sleep(1)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return
    messages.print("the NATS server of this stack is gone")
    raise typer.Exit(1)


def _print_secrets(added: "DevicesAdded") -> None:
    from k1_cli.devices.provisioning import SERVERS_FILE, TRUSTED_KEYS_FILE, credential_document
    from k1_contracts.messages.deploy.devices import DeviceServers

    servers = added.servers or DeviceServers()
    for credential in added.credentials:
        name, text = credential_document(credential, servers)
        results.print(f"{name}:\n{text}")
    results.print(f"{SERVERS_FILE}:\n{servers.model_dump_json(indent=2)}\n")
    results.print(f"{TRUSTED_KEYS_FILE}:\n{added.trusted_keys}")


def _cells(device: "DeviceView") -> "tuple[str | Text, ...]":
    from rich.text import Text

    running = device.running
    version = f" v{running.version}" if running and running.version else ""
    runs = f"{running.track_id or _short_hash(running.bundle_sha256)}{version}" if running else "idle"
    return (
        device.id,
        Text("yes", style="green") if device.online else Text("no", style="red"),
        device.transport,
        device.group or "",
        device.firmware or "",
        runs,
    )


def _notes(device: "DeviceView") -> list[str]:
    notes = [rewrite_commands(alarm.message) for alarm in device.alarms]
    notes += [f"in {device.deployment_id}"] if device.deployment_id else []
    notes += ["put right at its next hello"] if device.healing else []
    notes += ["revoked"] if device.revoked_at else []
    return notes


def _short_hash(name: str) -> str:
    """Return the end of a hash, enough to distinguish bundles in a table; `show` prints the whole."""
    return f"…{name[-6:]}"


def _to_json(device: "DeviceView") -> dict[str, object]:
    return device.model_dump(mode="json", exclude_none=True)
