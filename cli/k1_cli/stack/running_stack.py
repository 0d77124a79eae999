"""Finds the stack that another process runs on a home, through the state file of its supervisor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from k1_cli.errors import CommandError
from k1_cli.output.hints import k1_command
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import LOOPBACK, Network
from k1_contracts.messages.deploy.devices import DeviceServers
from k1_platform.settings import NatsSettings


@dataclass(frozen=True)
class RunningProcess:
    """A server or service, as the supervisor last recorded it."""

    name: str
    pid: int | None
    port: int | None
    """None for a server that listens on a socket file."""


@dataclass(frozen=True)
class RunningFleet:
    """A process that runs simulated devices; it has no port."""

    pid: int | None
    devices: int


@dataclass(frozen=True)
class RunningStack:
    """A running stack as `<home>/state.json` describes it."""

    home: Home
    pid: int
    url: str
    version: str
    environment: dict[str, str]
    servers: tuple[RunningProcess, ...]
    services: tuple[RunningProcess, ...]
    simulated: tuple[RunningFleet, ...]
    network: Network
    sign_in_link: str
    """Signs an administrator in; it works once, for 15 minutes after the start."""

    @property
    def bus(self) -> NatsSettings:
        """The settings with which a service connects to its NATS server."""
        return NatsSettings.of(self.environment)

    @property
    def device_servers(self) -> DeviceServers:
        """The addresses to which its devices connect."""
        stack = EmbeddedStack(self.home.root, self.network)
        stack.attach()
        return stack.device_servers


def find_stack(path: Path) -> RunningStack | None:
    """Return the stack that runs on this home, or None; one that is still starting or already stopping does not run."""
    home = Home(path)
    state = home.read_state()
    if state is None or not home.is_locked():
        return None
    return RunningStack(
        home=home,
        pid=state["pid"],
        url=state["url"],
        version=state["version"],
        environment=cast("dict[str, str]", state["environment"]),
        servers=_processes(state["servers"]),
        services=_processes(state["services"]),
        simulated=tuple(RunningFleet(**row) for row in state.get("simulated", [])),
        network=_network(state.get("network", {})),
        sign_in_link=state.get("sign_in_link", ""),
    )


def require_stack(path: Path) -> RunningStack:
    """Return the stack that runs on this home.

    Raises:
        CommandError: no stack runs on it.
    """
    found = find_stack(path)
    if found is None:
        raise CommandError(
            f"nothing runs on {Home(path).root}; start it with {k1_command('up', path)}, or name another with --home"
        )
    return found


def _network(row: dict[str, Any]) -> Network:
    files = {name: Path(row[name]) for name in ("certificate", "ca") if row.get(name)}
    return Network(row.get("address", LOOPBACK), tuple(row.get("names", ())), **files)


def _processes(rows: list[dict[str, Any]]) -> tuple[RunningProcess, ...]:
    return tuple(RunningProcess(row["name"], row["pid"], row["port"]) for row in rows)
