"""Reads the status of a running stack: servers, services, simulated devices, consumers; for `k1 status`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from nats.js.api import ConsumerInfo

from k1_cli.errors import CommandError
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.nats_client import connect_jetstream
from k1_cli.stack.running_stack import RunningProcess, RunningStack
from k1_cli.stack.services import probe_readiness
from k1_contracts.messages.deploy.devices import DeviceServers
from k1_platform.nats.dead_letters.queue import count_dead_letters
from k1_platform.settings import NatsSettings


@dataclass(frozen=True)
class ServerStatus:
    """A server; `ready` says whether it statuses its protocol."""

    name: str
    pid: int | None
    port: int | None
    """None for a server that listens on a socket file."""
    ready: bool


@dataclass(frozen=True)
class ServiceStatus:
    """A service; `ready` and `version` come from its `/readyz`."""

    name: str
    pid: int | None
    port: int | None
    ready: bool
    version: str | None


@dataclass(frozen=True)
class ConsumerStatus:
    """A durable with the number of its pending messages and of those that it has not acknowledged yet."""

    stream: str
    durable: str
    pending: int
    ack_pending: int


@dataclass(frozen=True)
class SimulatedStatus:
    """A process of simulated devices; it does not count for `all_ready`."""

    pid: int | None
    devices: int
    running: bool


@dataclass(frozen=True)
class StackStatus:
    """The status of the whole stack at one moment."""

    servers: tuple[ServerStatus, ...]
    services: tuple[ServiceStatus, ...]
    simulated: tuple[SimulatedStatus, ...]
    devices: DeviceServers
    """The addresses to which devices connect."""
    consumers: tuple[ConsumerStatus, ...]
    dead_letters: int | None
    """The number of dead letters; None while NATS does not answer."""

    @property
    def all_ready(self) -> bool:
        """Whether every server and every service is ready."""
        return all(part.ready for part in (*self.servers, *self.services))

    def to_json(self) -> dict[str, Any]:
        """Return the document of `k1 status --json`."""
        return asdict(self) | {"devices": self.devices.model_dump()}


def read_status(stack: RunningStack) -> StackStatus:
    """Probe all servers and services in parallel, then read the consumers and the dead letters from NATS."""
    embedded = EmbeddedStack(stack.home.root, stack.network, with_mailbox=True)
    embedded.attach()
    with ThreadPoolExecutor(len(stack.servers) + len(stack.services)) as pool:

        def server_status(part: RunningProcess) -> ServerStatus:
            return ServerStatus(part.name, part.pid, part.port, embedded.server(part.name).ready())

        def service_status(part: RunningProcess) -> ServiceStatus:
            url = stack.url if part.name == "gateway" else f"http://127.0.0.1:{part.port}"
            readiness = probe_readiness(url, stack.network.ca)
            return ServiceStatus(part.name, part.pid, part.port, readiness.ready, readiness.version)

        servers = pool.map(server_status, stack.servers)
        services = pool.map(service_status, stack.services)
        statuses = tuple(servers), tuple(services)
    consumers, dead_letters = asyncio.run(_read_consumers(stack.bus))
    simulated = tuple(
        SimulatedStatus(each.pid, each.devices, each.pid is not None and psutil.pid_exists(each.pid))
        for each in stack.simulated
    )
    return StackStatus(*statuses, simulated, stack.device_servers, consumers, dead_letters)


async def _read_consumers(settings: NatsSettings) -> tuple[tuple[ConsumerStatus, ...], int | None]:
    try:
        async with connect_jetstream(settings) as jetstream:
            infos = [
                info
                for stream in await jetstream.streams_info()
                if not (stream.config.name or "").startswith("$")  # NATS creates these for MQTT sessions
                for info in await jetstream.consumers_info(stream.config.name or "")
                if info.config.durable_name
            ]
            dead_letters = await count_dead_letters(jetstream)
    except CommandError:
        return (), None
    return tuple(_consumer_status(info) for info in infos), dead_letters


def _consumer_status(info: ConsumerInfo) -> ConsumerStatus:
    return ConsumerStatus(info.stream_name, info.name, info.num_pending or 0, info.num_ack_pending or 0)
