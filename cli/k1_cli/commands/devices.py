"""`k1 devices`: who may connect as a K1, and what each of them is and runs."""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.songs import open_gateway
from k1_cli.console import print_json, results
from k1_cli.formatting import count_of
from k1_cli.hints import k1_command, typed_commands
from k1_cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from rich.text import Text

    from k1_cli.gateway import Gateway
    from k1_contracts.messages.devices import DevicesAdded, DeviceView

_FOLDER = "devices"

app = typer.Typer(help="The K1s: add, revoke, list, show, watch.", no_args_is_help=True)


@app.command()
def add(
    device_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids: 1 to 40 of A-Z a-z 0-9 - _", metavar="ID")
    ] = None,
    *,
    count: Annotated[int | None, typer.Option(min=1, help="Make so many ids: k1-01, k1-02 ...")] = None,
    prefix: Annotated[str, typer.Option(help="What these ids begin with.")] = "k1-",
    mqtt: Annotated[bool, typer.Option("--mqtt", help="For MQTT 3.1.1 rather than NATS.")] = False,
    group: Annotated[str | None, typer.Option(help="Deployments may name the group.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the credentials go; <home>/devices by default.")
    ] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="New credentials for devices that exist; the old ones end.")
    ] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the secrets instead of writing them.")] = False,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Give devices credentials: a file each, readable by you alone, and the keys that bundles are signed with.

    Example: ./k1 devices add --count 4 --group stage
    """
    from k1_cli.listening import network_lines
    from k1_cli.provisioning import add_devices, make_folder, numbered, portions, write_credentials
    from k1_cli.running import need_stack
    from k1_contracts.messages.devices import DeviceServers

    if bool(device_ids) == (count is not None):
        raise typer.BadParameter("give ids, or --count")
    ids = device_ids or numbered(prefix, count or 0)
    wanted = portions(ids, mqtt=mqtt, group=group, renew=renew)
    stack = need_stack(home)
    folder = out or stack.home.root / _FOLDER
    if show:
        add_devices(stack.bus, wanted, _print_secrets)
        return
    make_folder(folder)

    servers = DeviceServers()

    def keep(added: "DevicesAdded") -> None:
        nonlocal servers
        servers = added.servers or servers
        for path in write_credentials(added, folder):
            results.print(str(path))

    add_devices(stack.bus, wanted, keep)
    results.print(f"{count_of(len(ids), 'device')} added; keep the files secret")
    for line in network_lines(stack.network, servers):
        results.print(line)


@app.command()
def revoke(
    device_ids: Annotated[list[str], typer.Argument(help="Which devices.", metavar="ID")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Take the credentials of devices away; who is connected with one is cut off at once.

    Example: ./k1 devices revoke k1-03
    """
    from k1_cli.provisioning import revoke_devices
    from k1_cli.running import need_stack

    revoked = revoke_devices(need_stack(home).bus, device_ids)
    results.print(f"revoked: {', '.join(revoked)}")


@app.command("list")
def list_all(
    group: Annotated[str | None, typer.Option(help="Only those of a group.")] = None,
    revoked: Annotated[bool, typer.Option("--revoked", help="Also those that were revoked.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Every device: is it there, what does it run, is something wrong.

    Example: ./k1 devices list --group stage
    """
    with open_gateway(home) as gateway:
        devices = all_devices(gateway, group=group, revoked=revoked)
    if as_json:
        print_json({"total": len(devices), "items": [_to_json(device) for device in devices]})
        return
    if not devices:
        results.print(f"no devices; add some with {k1_command('devices add --count 4')}")
        return
    from k1_cli.grid import Grid

    table = Grid(
        ("id", "online", "by", "group", "firmware", "runs"),
        flexible=("id", "group", "firmware", "runs"),
        middle=("id", "group"),
    )
    for device in devices:
        table.add(*_cells(device), note="; ".join(_notes(device)))
    results.print(table)
    results.print(f"{sum(device.online for device in devices)} of {len(devices)} online")


@app.command()
def show(
    device_id: Annotated[str, typer.Argument(help="Its id, or a prefix of it.", metavar="ID")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """One device with all that is known of it.

    Example: ./k1 devices show k1-01
    """
    from k1_cli.formatting import field_lines
    from k1_cli.lookup import find_device

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
        bool, typer.Option("--all", help="Every reading; by default one line a second.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show live what the device sends, what is sent to it and what is refused, until Ctrl-C.

    Example: ./k1 devices watch k1-01
    """
    import asyncio
    import sys

    from pydantic import TypeAdapter, ValidationError

    from k1_cli.bus import connect_client
    from k1_cli.console import messages
    from k1_cli.device_watch import ReadingThrottle, Seen, watching
    from k1_cli.errors import CommandError
    from k1_cli.gateway import NotFoundError
    from k1_cli.running import need_stack
    from k1_contracts.messages.device_link import DeviceId

    try:
        TypeAdapter(DeviceId).validate_python(device_id)
    except ValidationError as error:
        raise typer.BadParameter(f"{device_id} is no device id: 1 to 40 of A-Z a-z 0-9 - _") from error
    stack, throttle = need_stack(home), ReadingThrottle()

    def show_message(seen: Seen) -> None:
        shown = seen if every else throttle.take(seen)
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
        except CommandError as error:  # watching is for finding out what does not work
            messages.print(f"whether there is a device {device_id} is not known: {error}")

    async def run() -> None:
        async with connect_client(stack.bus) as client, watching(client, device_id, show_message):
            messages.print(f"watching {device_id}; Ctrl-C ends")
            while client.is_connected:  # noqa: ASYNC110  there is no event for it
                await asyncio.sleep(1)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        return
    messages.print("the NATS server of this stack is gone")
    raise typer.Exit(1)


def all_devices(gateway: "Gateway", *, group: str | None = None, revoked: bool = False) -> "list[DeviceView]":
    """Return all devices, or those of a group."""
    from k1_cli import lookup
    from k1_contracts.messages.devices import DeviceView

    of_group = {} if group is None else {"group": group}
    found = lookup.all_devices(gateway, include_revoked=revoked, **of_group)
    return [DeviceView.model_validate(device) for device in found]


def _print_secrets(added: "DevicesAdded") -> None:
    from k1_cli.provisioning import SERVERS, TRUSTED_KEYS, file_of
    from k1_contracts.messages.devices import DeviceServers

    servers = added.servers or DeviceServers()
    for credential in added.credentials:
        name, text = file_of(credential, servers)
        results.print(f"{name}:\n{text}")
    results.print(f"{SERVERS}:\n{servers.model_dump_json(indent=2)}\n")
    results.print(f"{TRUSTED_KEYS}:\n{added.trusted_keys}")


def _cells(device: "DeviceView") -> "tuple[str | Text, ...]":
    from rich.text import Text

    running = device.running
    version = f" v{running.version}" if running and running.version else ""
    runs = f"{running.track_id or _end(running.bundle_sha256)}{version}" if running else "idle"
    return (
        device.id,
        Text("yes", style="green") if device.online else Text("no", style="red"),
        device.transport,
        device.group or "",
        device.firmware or "",
        runs,
    )


def _notes(device: "DeviceView") -> list[str]:
    notes = [typed_commands(alarm.message) for alarm in device.alarms]
    notes += [f"in {device.deployment_id}"] if device.deployment_id else []
    notes += ["put right at its next hello"] if device.healing else []
    notes += ["revoked"] if device.revoked_at else []
    return notes


def _end(name: str) -> str:
    """Enough of a hash to tell one from another in a table; `show` has the whole."""
    return f"…{name[-6:]}"


def _to_json(device: "DeviceView") -> dict[str, object]:
    return device.model_dump(mode="json", exclude_none=True)
