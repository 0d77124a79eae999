"""The six services as child processes, and the steps that come before them."""

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from k1_cli.stack.embedded.errors import StackError
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.network import Network, http_connection
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.processes import Command, ManagedProcess, Spawn, spawn

NAMES = ("telemetry", "deploy", "catalogue", "analysis", "ingest", "gateway")
"""In the order of starting; they stop in reverse, the public edge first."""

PREPARATIONS = {
    "provision": "k1_platform.provision",
    "migrate": "k1_cli.stack.migrations",
    "signing": "k1_platform.signing",
}
"""Modules that run once before the services: bus and buckets, database schemas, first key. All are idempotent."""

SIGNERS = frozenset({"signing", "catalogue"})
"""Who is told where the signing keys are; nobody else is."""

DEVICE_KEEPER = "deploy"
"""Who is told where the keys are that mint and revoke the devices' credentials; nobody else is."""

_PROBE_TIMEOUT = 3.0


@dataclass(frozen=True)
class Readiness:
    """What `/readyz` said."""

    ready: bool
    version: str | None = None
    problems: tuple[str, ...] = ()


class Service:
    """One service, run as `python -m k1_<name>` on a loopback port that it keeps over restarts."""

    def __init__(self, home: Home, name: str, port: int, network: Network | None = None) -> None:
        """`network`: where it listens, by default on loopback."""
        self.name = name
        self.port = port
        self.network = network or Network()
        self.process = ManagedProcess(home, name)

    @property
    def url(self) -> str:
        """Its base URL."""
        return self.network.url("http", "https", self.port)

    @property
    def readiness(self) -> "Readiness":
        """What its `/readyz` says now."""
        return readiness(self.url, self.network.ca)

    def start(self, environment: Mapping[str, str], spawner: Spawn = spawn) -> None:
        """Start the process; `readiness` tells when it is of use."""
        own = {"PORT": str(self.port), "HOST": self.network.address}
        if self.network.certificate is not None:
            own |= {"TLS_CERT": str(self.network.certificate), "TLS_KEY": str(self.network.key)}
        own = {f"K1_{self.name.upper()}_{name}": value for name, value in own.items()}
        argv = (sys.executable, "-P", "-m", f"k1_{self.name}")
        self.process.start(Command(argv, {**environment, **own}), spawner)


def readiness(url: str, ca: Path | None) -> Readiness:
    """Ask the service at `url`; no answer is not ready."""
    connection = http_connection(url, ca, _PROBE_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = cast("dict[str, Any]", json.loads(response.read()))
    except (OSError, ValueError, http.client.HTTPException):
        return Readiness(ready=False)
    finally:
        connection.close()
    checks = cast("dict[str, str]", body.get("checks", {}))
    problems = tuple(f"{name}: {outcome}" for name, outcome in checks.items() if outcome != "ok")
    return Readiness(response.status == http.client.OK, body.get("version"), problems)


def make_services(home: Home, gateway_port: int | None, network: Network) -> list[Service]:
    """All services on free ports: the given one for the gateway, else those of the last run where free.

    The gateway listens on the network, the others on loopback.
    """
    remembered = home.remembered_ports()
    services = [Service(home, name, free_port(remembered.get(name))) for name in NAMES[:-1]]
    port = gateway_port or free_port(remembered.get(NAMES[-1]), network.address)
    services.append(Service(home, NAMES[-1], port, network))
    home.remember_ports({service.name: service.port for service in services})
    return services


def prepare(home: Home, name: str, environment: Mapping[str, str], spawner: Spawn = spawn) -> None:
    """Run one of PREPARATIONS to its end.

    Raises:
        StackError: it failed; the message carries the end of its log.
    """
    process = ManagedProcess(home, name)
    process.start(Command((sys.executable, "-P", "-m", PREPARATIONS[name]), environment), spawner)
    code = process.wait()
    if code != 0:
        raise StackError(
            f"{name} failed with code {code}; its log {process.log} ends with:\n{process.log_tail()}"
        )
