"""Finding the stack that another process runs on a home."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from k1_cli.embedded import EmbeddedStack
from k1_cli.embedded.home import Home
from k1_cli.embedded.network import LOOPBACK, Network
from k1_cli.errors import CommandError
from k1_cli.hints import k1_command
from k1_contracts.messages.devices import DeviceServers
from k1_platform.settings import NatsSettings


@dataclass(frozen=True)
class Part:
    """A server or service as the supervisor last wrote it down."""

    name: str
    pid: int | None
    port: int | None
    """None: it listens on a socket file."""


@dataclass(frozen=True)
class Simulated:
    """A process of simulated devices; it has no port."""

    pid: int | None
    devices: int


@dataclass(frozen=True)
class RunningStack:
    """What `<home>/state.json` says of a stack that is up."""

    home: Home
    pid: int
    url: str
    version: str
    environment: dict[str, str]
    servers: tuple[Part, ...]
    services: tuple[Part, ...]
    simulated: tuple[Simulated, ...]
    network: Network

    @property
    def bus(self) -> NatsSettings:
        """How to reach its NATS as one of its services."""
        return NatsSettings.of(self.environment)

    @property
    def device_servers(self) -> DeviceServers:
        """Where its devices connect."""
        stack = EmbeddedStack(self.home.root, self.network)
        stack.attach()
        return stack.device_servers


def find_stack(path: Path) -> RunningStack | None:
    """The stack that is up on this home, or None. One that still starts or already stops is not up."""
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
        servers=_parts(state["servers"]),
        services=_parts(state["services"]),
        simulated=tuple(Simulated(**row) for row in state.get("simulated", [])),
        network=_network(state.get("network", {})),
    )


def need_stack(path: Path) -> RunningStack:
    """The stack that is up on this home.

    Raises:
        CommandError: there is none.
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


def _parts(rows: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(row["name"], row["pid"], row["port"]) for row in rows)
