"""Simulated K1s of a home: added where they are not known, run until somebody ends them."""

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

from k1_cli.console import messages, print_json
from k1_cli.credential_files import credential_file, found_identities, found_servers, read_identity
from k1_cli.embedded import Home
from k1_cli.errors import CommandError
from k1_cli.fleet_picture import FleetPicture
from k1_cli.formatting import count_of
from k1_cli.provisioning import (
    CA,
    add_devices,
    make_folder,
    portions,
    write_credentials,
)
from k1_cli.running import RunningStack, need_stack
from k1_contracts.messages.device_link import Transport
from k1_contracts.messages.devices import DevicesAdded, DeviceServers
from k1_platform.secret_files import write_whole
from k1_platform.settings import NatsSettings
from k1_simulator.event_log import Change
from k1_simulator.faults.fault_file import FaultFileError, load_faults
from k1_simulator.faults.models import FaultPlan
from k1_simulator.fleet import Fleet, FleetError
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import Identity, device_names
from k1_simulator.state_machine.keys import KeysRejectedError

_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MESSAGES_A_SECOND: Final = 1000
"""Of readings, from one process; a reading has a tenth of a second."""
_READINGS_MAX: Final = 10
_REFRESHES: Final = 4.0
_START_S: Final = 120.0
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,35}")
_FILES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    devices: int
    transport: Transport
    faults: Path | None
    seed: int
    prefix: str
    group: str | None
    factory: bool
    renew: bool
    credentials: Path | None = None
    """A folder that `k1 devices add` wrote, for devices of a stack that may be on another machine."""

    @property
    def device_ids(self) -> list[str]:
        """Their names."""
        return device_names(self.prefix, self.devices)

    @property
    def habits(self) -> BehaviourConfig:
        """More devices put more readings into a message, at most those of a second."""
        wanted = self.devices * _READINGS_MAX // _MESSAGES_A_SECOND
        return BehaviourConfig(readings_a_message=min(_READINGS_MAX, max(1, wanted)))


def run_devices(home: Path, plan: Plan, *, as_json: bool) -> None:
    """Run the devices of a plan on the stack of a home until a signal ends them.

    Raises:
        CommandError: the prefix is none, no stack runs, others run these devices, the faults cannot be read, or the devices do not come online.
    """
    if not _PREFIX.fullmatch(plan.prefix):
        raise CommandError(f"{plan.prefix} begins no device ids: 1 to 35 of A-Z a-z 0-9 - _")
    stack = None if plan.credentials else need_stack(home)
    try:
        faults = load_faults(plan.faults) if plan.faults else FaultPlan()
        folder = plan.credentials or Home(home).root / "devices"
        if stack is not None:
            make_folder(folder)
        elif not folder.is_dir():
            raise CommandError(f"there is no folder {folder}")
        with claimed(folder, plan.prefix), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            identities = _identities(stack, plan, folder) if stack else found_identities(folder)
            servers = _servers(stack.device_servers if stack else found_servers(folder), folder)
            _allow_many_connections()
            runner.run(_run(folder, servers, plan, identities, faults, as_json=as_json))
    except (FaultFileError, FleetError, KeysRejectedError) as error:
        raise CommandError(str(error)) from error


@contextmanager
def claimed(folder: Path, prefix: str) -> Generator[None]:
    """One process at a time runs the devices of a prefix: two of the same name would both obey.

    Raises:
        CommandError: another process does.
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
    plan: Plan,
    identities: Sequence[Identity],
    faults: FaultPlan,
    *,
    as_json: bool,
) -> None:
    ended = asyncio.Event()
    for number in _ENDS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    picture = FleetPicture()
    fleet = Fleet(
        identities,
        servers=servers,
        folder=folder,
        seed=plan.seed,
        faults=faults,
        factory=plan.factory,
        behaviour=plan.habits,
        on_change=_teller(picture, as_json=as_json),
    )
    starting = asyncio.create_task(fleet.start(_START_S))
    ending = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await _watch(fleet, picture, ending, drawn=messages.is_terminal and not as_json)
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await fleet.stop()


async def _watch(fleet: Fleet, picture: FleetPicture, ending: "asyncio.Task[bool]", *, drawn: bool) -> None:
    messages.print(f"{count_of(len(fleet.states()), 'device')} online (Ctrl-C ends them)")
    live = Live(
        get_renderable=lambda: picture.draw(fleet.states()),
        console=messages,
        refresh_per_second=_REFRESHES,
    )
    with live if drawn else nullcontext():
        await ending


def _teller(picture: FleetPicture, *, as_json: bool) -> Callable[[Change], None]:
    """Where changes go: a line each for a script or a log, the picture's tail for a person."""

    def print_change(change: Change) -> None:
        print_json(
            {"at": change.unix_s, "device": change.device_id, "event": change.event, "detail": change.detail}
        )
        sys.stdout.flush()

    def print_words(change: Change) -> None:
        messages.print(picture.words(change))

    if as_json:
        return print_change
    return picture.note if messages.is_terminal else print_words


def _identities(stack: RunningStack, plan: Plan, folder: Path) -> list[Identity]:
    """From the files that `k1 devices add` writes too; devices without one are added."""
    missing = [name for name in plan.device_ids if not credential_file(folder, name, plan.transport).exists()]
    if missing:
        wanted = portions(missing, mqtt=plan.transport == "mqtt", group=plan.group, renew=plan.renew)

        def keep(added: DevicesAdded) -> None:
            write_credentials(added, folder)

        add_devices(stack.bus, wanted, keep)
    return [read_identity(folder, name, plan.transport) for name in plan.device_ids]


def _servers(addresses: DeviceServers, folder: Path) -> Servers:
    """Addresses and the CA alone: a device has its own credential and is never given a service's."""
    ca = None
    if addresses.ca is not None:
        ca = folder / CA
        write_whole(ca, addresses.ca)
    return Servers(NatsSettings(url=addresses.nats_url or "", creds=None, ca=ca), addresses.mqtt_url)


def _allow_many_connections() -> None:
    """An MQTT device takes three descriptors, and the usual limit is 1024."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_MAX if most == resource.RLIM_INFINITY else min(most, _FILES_MAX)
    if allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
