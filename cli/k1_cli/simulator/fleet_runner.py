"""Runs simulated K1s in this process until a signal arrives; adds those that the stack does not know."""

import asyncio
import fcntl
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop
from rich.live import Live

from k1_cli.devices.credential_files import credential_path, read_identities, read_identity, read_servers
from k1_cli.devices.provisioning import (
    CA_FILE,
    add_devices,
    build_requests,
    create_secret_folder,
    write_credentials,
)
from k1_cli.errors import CommandError
from k1_cli.output.console import messages, print_json
from k1_cli.output.formatting import count_of
from k1_cli.simulator.fleet_view import FleetView
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.running_stack import RunningStack, require_stack
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import DevicesAdded, DeviceServers
from k1_platform.auth.secret_files import write_atomically
from k1_platform.settings import NatsSettings
from k1_simulator.event_log import Change
from k1_simulator.faults.fault_file import FaultFileError, load_faults
from k1_simulator.faults.models import FaultPlan
from k1_simulator.fleet import Fleet, FleetError
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity, device_names
from k1_simulator.state_machine.keys import KeysRejectedError

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MAX_MESSAGES_PER_SECOND: Final = 1000
"""Messages with readings from one process; a device has ten readings per second."""
_MAX_READINGS_PER_MESSAGE: Final = 10
_REFRESHES: Final = 4.0
_START_S: Final = 120.0
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,35}")
_MAX_OPEN_FILES: Final = 65_536


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """The options of `k1 sim`: which devices to run, and how."""

    devices: int
    transport: Transport
    faults: Path | None
    seed: int
    prefix: str
    group: str | None
    factory: bool
    renew: bool
    credentials: Path | None = None
    """A folder that `k1 devices add` wrote; the stack may then be on another machine."""

    @property
    def device_ids(self) -> list[str]:
        """The ids of the devices."""
        return device_names(self.prefix, self.devices)

    @property
    def behaviour(self) -> BehaviourConfig:
        """The behaviour of the devices: the more there are, the more readings share a message, up to one second's."""
        wanted = self.devices * _MAX_READINGS_PER_MESSAGE // _MAX_MESSAGES_PER_SECOND
        return BehaviourConfig(readings_a_message=min(_MAX_READINGS_PER_MESSAGE, max(1, wanted)))


def run_devices(home: Path, options: FleetOptions, *, as_json: bool) -> None:
    """Run the devices on the stack of a home until a signal stops them.

    Raises:
        CommandError: the prefix is wrong, no stack runs, another process runs these devices, the faults cannot be
            read, or the devices do not come online.
    """
    if not _PREFIX.fullmatch(options.prefix):
        raise CommandError(f"{options.prefix} begins no device ids: 1 to 35 of A-Z a-z 0-9 - _")
    stack = None if options.credentials else require_stack(home)
    try:
        faults = load_faults(options.faults) if options.faults else FaultPlan()
        folder = options.credentials or Home(home).root / "devices"
        if stack is not None:
            create_secret_folder(folder)
        elif not folder.is_dir():
            raise CommandError(f"there is no folder {folder}")
        with (
            lock_prefix(folder, options.prefix),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            identities = _identities(stack, options, folder) if stack else read_identities(folder)
            servers = _servers(stack.device_servers if stack else read_servers(folder), folder)
            _allow_many_connections()
            runner.run(_run(folder, servers, options, identities, faults, as_json=as_json))
    except (FaultFileError, FleetError, KeysRejectedError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def lock_prefix(folder: Path, prefix: str) -> Generator[None]:
    """Hold the lock on the devices of a prefix while the block runs.

    Two processes with the same device would both follow its commands.

    Raises:
        CommandError: another process holds the lock.
    """
    descriptor = os.open(folder / f"{prefix}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CommandError(
            f"the devices {prefix}-… of this home run already; choose another --prefix"
        ) from error
    finally:
        os.close(descriptor)


async def _run(
    folder: Path,
    servers: Servers,
    options: FleetOptions,
    identities: Sequence[Identity],
    faults: FaultPlan,
    *,
    as_json: bool,
) -> None:
    stopped = asyncio.Event()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    view = FleetView()
    fleet = Fleet(
        identities,
        servers=servers,
        folder=folder,
        seed=options.seed,
        faults=faults,
        factory=options.factory,
        behaviour=options.behaviour,
        on_change=_change_printer(view, as_json=as_json),
    )
    starting = asyncio.create_task(fleet.start(_START_S))
    stopping = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await _watch(fleet, view, stopping, drawn=messages.is_terminal and not as_json)
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await fleet.stop()


async def _watch(fleet: Fleet, view: FleetView, stopping: "asyncio.Task[bool]", *, drawn: bool) -> None:
    messages.print(f"{count_of(len(fleet.states()), 'device')} online (Ctrl-C ends them)")
    live = Live(
        get_renderable=lambda: view.draw(fleet.states()),
        console=messages,
        refresh_per_second=_REFRESHES,
    )
    with live if drawn else nullcontext():
        await stopping


def _change_printer(view: FleetView, *, as_json: bool) -> Callable[[Change], None]:
    """Return the function that shows a change: a line for a script or a log, or the view on a terminal."""

    def print_json_line(change: Change) -> None:
        print_json(
            {"at": change.unix_s, "device": change.device_id, "event": change.event, "detail": change.detail}
        )
        sys.stdout.flush()

    def print_line(change: Change) -> None:
        messages.print(view.format_change(change))

    if as_json:
        return print_json_line
    return view.add_change if messages.is_terminal else print_line


def _identities(stack: RunningStack, options: FleetOptions, folder: Path) -> list[Identity]:
    """Return the identities from the credential files; devices without a file are added first."""
    missing = [
        name for name in options.device_ids if not credential_path(folder, name, options.transport).exists()
    ]
    if missing:
        requests = build_requests(
            missing, mqtt=options.transport == "mqtt", group=options.group, renew=options.renew
        )

        def write(added: DevicesAdded) -> None:
            write_credentials(added, folder)

        add_devices(stack.bus, requests, write)
    return [read_identity(folder, name, options.transport) for name in options.device_ids]


def _servers(addresses: DeviceServers, folder: Path) -> Servers:
    """Return the addresses and the CA only: a device has its own credential and never gets that of a service."""
    ca = None
    if addresses.ca is not None:
        ca = folder / CA_FILE
        write_atomically(ca, addresses.ca)
    return Servers(NatsSettings(url=addresses.nats_url or "", creds=None, ca=ca), addresses.mqtt_url)


def _allow_many_connections() -> None:
    """Raise the limit of open files: an MQTT device takes three descriptors, and the usual limit is 1024."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(most, _MAX_OPEN_FILES)
    if allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
