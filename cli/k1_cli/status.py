"""What `k1 status` asks a running stack."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from nats.js.api import ConsumerInfo

from k1_cli.bus import connect_bus
from k1_cli.embedded import EmbeddedStack
from k1_cli.errors import CommandError
from k1_cli.running import Part, RunningStack
from k1_cli.services import readiness
from k1_contracts.messages.devices import DeviceServers
from k1_platform.dead_letter_queue import count_dead_letters
from k1_platform.settings import NatsSettings


@dataclass(frozen=True)
class ServerStatus:
    """A server: does it answer its protocol?"""

    name: str
    pid: int | None
    port: int | None
    """None: it listens on a socket file."""
    ready: bool


@dataclass(frozen=True)
class ServiceStatus:
    """A service: what its `/readyz` says."""

    name: str
    pid: int | None
    port: int | None
    ready: bool
    version: str | None


@dataclass(frozen=True)
class ConsumerStatus:
    """A durable: messages that wait for it, and those handed out and not yet settled."""

    stream: str
    durable: str
    pending: int
    ack_pending: int


@dataclass(frozen=True)
class SimulatedStatus:
    """Simulated devices: does their process run? They are no part of what must be ready."""

    pid: int | None
    devices: int
    running: bool


@dataclass(frozen=True)
class StackStatus:
    """All of it at one moment."""

    servers: tuple[ServerStatus, ...]
    services: tuple[ServiceStatus, ...]
    simulated: tuple[SimulatedStatus, ...]
    devices: DeviceServers
    """Where devices connect."""
    consumers: tuple[ConsumerStatus, ...]
    dead_letters: int | None
    """None while the bus does not answer."""

    @property
    def all_ready(self) -> bool:
        """Whether every server and service is."""
        return all(part.ready for part in (*self.servers, *self.services))

    def to_json(self) -> dict[str, Any]:
        """The document of `k1 status --json`."""
        return asdict(self) | {"devices": self.devices.model_dump()}


def read_status(stack: RunningStack) -> StackStatus:
    """Ask every server and service at once, then the bus for its consumers."""
    embedded = EmbeddedStack(stack.home.root, stack.network)
    embedded.attach()
    with ThreadPoolExecutor(len(stack.servers) + len(stack.services)) as pool:

        def server_status(part: Part) -> ServerStatus:
            return ServerStatus(part.name, part.pid, part.port, embedded.server(part.name).ready())

        def service_status(part: Part) -> ServiceStatus:
            own = stack.url if part.name == "gateway" else f"http://127.0.0.1:{part.port}"
            answer = readiness(own, stack.network.ca)
            return ServiceStatus(part.name, part.pid, part.port, answer.ready, answer.version)

        servers = pool.map(server_status, stack.servers)
        services = pool.map(service_status, stack.services)
        answers = tuple(servers), tuple(services)
    consumers, dead_letters = asyncio.run(_read_bus(stack.bus))
    simulated = tuple(
        SimulatedStatus(each.pid, each.devices, each.pid is not None and psutil.pid_exists(each.pid))
        for each in stack.simulated
    )
    return StackStatus(*answers, simulated, stack.device_servers, consumers, dead_letters)


async def _read_bus(settings: NatsSettings) -> tuple[tuple[ConsumerStatus, ...], int | None]:
    try:
        async with connect_bus(settings) as jetstream:
            infos = [
                info
                for stream in await jetstream.streams_info()
                if not (stream.config.name or "").startswith("$")  # the server's own, for MQTT sessions
                for info in await jetstream.consumers_info(stream.config.name or "")
                if info.config.durable_name
            ]
            dead_letters = await count_dead_letters(jetstream)
    except CommandError:
        return (), None
    return tuple(_consumer_status(info) for info in infos), dead_letters


def _consumer_status(info: ConsumerInfo) -> ConsumerStatus:
    return ConsumerStatus(info.stream_name, info.name, info.num_pending or 0, info.num_ack_pending or 0)
