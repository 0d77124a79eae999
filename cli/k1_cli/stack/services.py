"""Runs the services as child processes, and the preparations that come before them."""

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
from k1_cli.stack.embedded.processes import Command, ManagedProcess, Spawner, spawn

SERVICE_NAMES = ("accounts", "webhooks", "telemetry", "deploy", "catalogue", "analysis", "ingest", "gateway")
"""The services in the order of starting; they stop in reverse, the gateway first."""

PREPARATIONS = {
    "provision": "k1_platform.provision",
    "migrate": "k1_cli.stack.migrations",
    "signing": "k1_platform.auth.signing",
}
"""Modules that run once before the services: streams and buckets, database schemas, first key. All are idempotent."""

SIGNING_SERVICES = frozenset({"signing", "catalogue"})
"""Only these processes get the path of the signing keys."""

ACCOUNTS_SERVICE = "accounts"
"""Only this service gets the path of the keys that sign access tokens, and the address of the mail server."""

DEVICE_KEY_SERVICE = "deploy"
"""Only this service gets the path of the keys that create and revoke the credentials of devices."""

WEBHOOKS_SERVICE = "webhooks"
"""Only this service gets the path of the key of its secrets."""

_PROBE_TIMEOUT = 3.0


@dataclass(frozen=True)
class Readiness:
    """The response of `/readyz`."""

    ready: bool
    version: str | None = None
    problems: tuple[str, ...] = ()


class Service:
    """One service, which runs as `python -m k1_<name>` on a port that it keeps across restarts."""

    def __init__(self, home: Home, name: str, port: int, network: Network | None = None) -> None:
        """`network`: where the service listens, by default on loopback."""
        self.name = name
        self.port = port
        self.network = network or Network()
        self.process = ManagedProcess(home, name)

    @property
    def url(self) -> str:
        """The base URL."""
        return self.network.url("http", "https", self.port)

    @property
    def readiness(self) -> "Readiness":
        """The current response of its `/readyz`."""
        return probe_readiness(self.url, self.network.ca)

    def start(self, environment: Mapping[str, str], spawner: Spawner = spawn) -> None:
        """Start the process without waiting; `readiness` says when the service is ready."""
        own = {"PORT": str(self.port), "HOST": self.network.address}
        if self.network.certificate is not None:
            own |= {"TLS_CERT": str(self.network.certificate), "TLS_KEY": str(self.network.key)}
        own = {f"K1_{self.name.upper()}_{name}": value for name, value in own.items()}
        argv = (sys.executable, "-P", "-m", f"k1_{self.name}")
        self.process.start(Command(argv, {**environment, **own}), spawner)


def probe_readiness(url: str, ca: Path | None) -> Readiness:
    """Return whether the service at `url` is ready; without a response it is not."""
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
    """Return all services with their ports: `gateway_port` if given, else those of the last run that are free.

    The gateway listens on the network, the others on loopback.
    """
    remembered = home.remembered_ports()
    services = [Service(home, name, free_port(remembered.get(name))) for name in SERVICE_NAMES[:-1]]
    port = gateway_port or free_port(remembered.get(SERVICE_NAMES[-1]), network.address)
    services.append(Service(home, SERVICE_NAMES[-1], port, network))
    home.remember_ports({service.name: service.port for service in services})
    return services


def run_preparation(home: Home, name: str, environment: Mapping[str, str], spawner: Spawner = spawn) -> None:
    """Run one of PREPARATIONS and wait for its end.

    Raises:
        StackError: it failed; the message contains the end of its log.
    """
    _run_module(home, name, (PREPARATIONS[name],), environment, spawner)


def make_sign_in_token(home: Home, environment: Mapping[str, str], spawner: Spawner = spawn) -> str:
    """Return a token that signs an administrator in once; make the administrator and the key of `k1` if missing.

    Raises:
        StackError: it failed; the message contains the end of its log.
    """
    result = home.run / "sign-in.json"
    result.unlink(missing_ok=True)
    options = ("--key-file", str(home.api_key_file), "--result", str(result))
    _run_module(home, "bootstrap", ("k1_accounts.bootstrap", *options), environment, spawner)
    try:
        made = cast("dict[str, str]", json.loads(result.read_text()))
    except FileNotFoundError as error:
        raise StackError("k1_accounts.bootstrap has made no sign-in link") from error
    result.unlink()
    return made["link_token"]


def _run_module(
    home: Home, name: str, module: tuple[str, ...], environment: Mapping[str, str], spawner: Spawner
) -> None:
    process = ManagedProcess(home, name)
    process.start(Command((sys.executable, "-P", "-m", *module), environment), spawner)
    code = process.wait()
    if code != 0:
        raise StackError(
            f"{name} failed with code {code}; its log {process.log} ends with:\n{process.log_tail()}"
        )
