"""Runs the servers of docker-compose.yml in containers of their own for one test process, with testcontainers."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import ExecWaitStrategy

from k1_cli.compose_secrets import make_secrets
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from tests.support.documents.generators import ROOT

_START_S: Final = 180
_NATS: Final = 4222
_MQTT: Final = 1883
_POSTGRES: Final = 5432
_MONGO: Final = 27017
_S3: Final = 8333
_INSIDE: Final = {"postgres": "@postgres:5432/", "mongo": "@mongo:27017/"}
"""How the URLs of the secrets name the servers."""
STAND_IN_LABEL: Final = "k1.stand-in"
"""Images with this label were made by tests/containers, where no registry could be reached."""


@dataclass(frozen=True)
class ServerContainers:
    """The addresses and keys of servers in containers."""

    environment: dict[str, str]
    nats_keys: NatsKeys
    mqtt_url: str


class _Containers:
    """Starts containers as docker-compose.yml describes its services: image, command, variables, secrets, health check."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.secrets = folder / "secrets"
        make_secrets(self.secrets)
        self._services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
            "services"
        ]
        self._running = running

    def start(self, name: str, *ports: int, files: dict[Path, str] | None = None) -> DockerContainer:
        """Start the container of a service and wait until its health check passes; `files`: what is mounted where."""
        service = self._services[name]
        mounted = {self.secrets / each: f"/run/secrets/{each}" for each in service.get("secrets", [])}
        container = DockerContainer(service["image"]).with_exposed_ports(*ports)
        container.with_envs(**service.get("environment", {}))
        for file, inside in (mounted | (files or {})).items():
            container.with_volume_mapping(file, inside)
        if "command" in service:
            container.with_command(service["command"])
        if "user" in service:
            container.with_kwargs(user=service["user"])
        check = ExecWaitStrategy(service["healthcheck"]["test"][1:]).with_startup_timeout(_START_S)
        container.waiting_for(check)
        self._running.enter_context(container)
        return container

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()


def start_servers(folder: Path, running: ExitStack) -> ServerContainers:
    """Start the four servers; they are removed when `running` is closed."""
    keys = ensure_nats_keys(folder / "nats-keys")
    containers = _Containers(folder, running)
    configuration = ROOT / "docker" / "nats.conf"
    files = {configuration: "/etc/nats/nats.conf", keys.server_configuration.parent: "/etc/nats/keys"}
    nats = containers.start("nats", _NATS, _MQTT, files=files)
    postgres = containers.start("postgres", _POSTGRES)
    mongo = containers.start("mongo", _MONGO)
    store = containers.start("s3", _S3)
    s3_url = f"http://{_address(store, _S3)}"
    environment = {
        "K1_NATS_URL": f"nats://{_address(nats, _NATS)}",
        "K1_NATS_CREDS": str(keys.admin_credentials),
        "K1_POSTGRES_DSN": _reachable(
            containers.secret("K1_POSTGRES_DSN"), "postgres", _address(postgres, _POSTGRES)
        ),
        "K1_MONGO_URL": _mongo_url(containers, mongo),
        "K1_S3_URL": s3_url,
        "K1_S3_PUBLIC_URL": s3_url,
        "K1_S3_ACCESS_KEY": containers.secret("K1_S3_ACCESS_KEY"),
        "K1_S3_SECRET_KEY": containers.secret("K1_S3_SECRET_KEY"),
        "K1_S3_BUCKET": "k1-songs",
        "K1_DEPLOY_NATS_KEYS": str(keys.deploy),
    }
    return ServerContainers(environment, keys, f"mqtt://{_address(nats, _MQTT)}")


def _mongo_url(containers: _Containers, mongo: DockerContainer) -> str:
    address = _address(mongo, _MONGO)
    image = mongo.get_wrapped_container().image
    if image is not None and STAND_IN_LABEL in image.labels:
        return f"mongodb://{address}/k1"  # the stand-in knows no passwords
    return _reachable(containers.secret("K1_MONGO_URL"), "mongo", address)


def _reachable(url: str, server: str, address: str) -> str:
    """Return the URL of a secret with the address that this machine reaches."""
    assert _INSIDE[server] in url
    return url.replace(_INSIDE[server], f"@{address}/")


def _address(container: DockerContainer, port: int) -> str:
    # Not by the name: it may mean IPv6 first, and ports are published on IPv4.
    host = container.get_container_host_ip().replace("localhost", "127.0.0.1")
    return f"{host}:{container.get_exposed_port(port)}"
