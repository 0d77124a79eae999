"""The files that docker compose mounts, tested with the server of the embedded stack, without Docker."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import yaml
from nats.errors import Error as NatsError
from packaging.requirements import Requirement

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from k1_cli.stack.embedded.servers.nats import MAX_FILE_STORE, NatsServer
from k1_contracts import streams
from k1_platform.auth.certificates import ensure_certificates
from k1_platform.auth.nkeys import NatsKeys
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.nats.bus.connection import connect_options
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client
from tests.support.processes import running_process

CHECKOUT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in CHECKOUT.glob("services/*/pyproject.toml"))
FOLDERS = {
    "nats-root",
    "nats-server",
    "nats-admin",
    "nats-deploy",
    *(f"nats-service-{name}" for name in SERVICES),
}


@pytest.fixture
def compose() -> dict[str, Any]:
    return yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())


@pytest.fixture(params=["nats.conf", "nats-tls.conf"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[NatsSettings]:
    """Run the server with a configuration of `docker/` on free ports, with keys and certificates as in compose."""
    tls = ensure_certificates(tmp_path / "tls", ["127.0.0.1"])
    keys = NatsKeys(tmp_path / "keys")
    command = [sys.executable, "-m", "k1_platform.auth.nkeys"]
    subprocess.run(command, env={"K1_NATS_KEYS": str(keys.folder)}, check=True, capture_output=True)
    port = free_port()
    text = (CHECKOUT / "docker" / request.param).read_text()
    secure = "tls" in request.param
    for inside, outside in {
        "0.0.0.0:4222": f"127.0.0.1:{port}",
        "0.0.0.0:8222": f"127.0.0.1:{free_port()}",
        "0.0.0.0:8883" if secure else "0.0.0.0:1883": f"127.0.0.1:{free_port()}",
        '"/data': f'"{tmp_path}/data',
        **({"/etc/nats/tls": str(tmp_path / "tls")} if secure else {}),
    }.items():
        assert inside in text
        text = text.replace(inside, outside)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nats.conf").write_text(text)
    shutil.copytree(keys.folder / "server", tmp_path / "etc" / "keys")
    scheme = "tls" if secure else "nats"
    with running_process([find_program("nats-server"), "-c", tmp_path / "etc" / "nats.conf"]):
        yield NatsSettings(url=f"{scheme}://127.0.0.1:{port}", creds=keys.admin_credentials, ca=tls.ca)


async def test_services_connect_and_provision(server: NatsSettings) -> None:
    """Services connect with their credentials and use JetStream; without credentials they are refused."""
    async with connected_client(
        server, max_reconnect_attempts=1200, reconnect_time_wait=0.1, connect_timeout=60
    ) as client:
        await provision_bus(client.jetstream(timeout=60))
        assert await client.jetstream(timeout=60).streams_info()
    with pytest.raises(NatsError, match="Authorization"):
        unknown = connect_options(NatsSettings(url=server.url, creds=None, ca=server.ca))
        await nats.connect(**unknown, allow_reconnect=False, connect_timeout=60, error_cb=_ignore)


def test_the_bus_has_the_same_limits_everywhere(tmp_path: Path) -> None:
    """With and without TLS, in Docker and embedded: only addresses, paths, TLS and the monitoring port differ."""
    home = Home(tmp_path)
    home.create()
    home.remember_ports({"nats": 4222, "mqtt": 1883})
    embedded = NatsServer(home)
    embedded.attach()
    embedded.prepare()
    texts = [(CHECKOUT / "docker" / name).read_text() for name in ("nats.conf", "nats-tls.conf")]
    started_text = (home.data("nats") / "nats.conf").read_text()
    texts.append(started_text.removesuffix(embedded.keys.server_configuration.read_text()))
    docker, docker_with_tls, started = [_limits(text) for text in texts]
    assert docker == docker_with_tls == started
    assert {"mqtt.reject_qos2_publish: true", f"jetstream.max_file_store: {MAX_FILE_STORE}"} <= docker


def test_the_streams_fit_into_what_the_bus_may_store() -> None:
    """The server reserves the limit of each stream and refuses what does not fit, however small the streams are."""
    limits = [*streams.STREAMS, *streams.BUCKETS]
    of_mqtt = 64 * streams.MIB
    assert sum(limit.max_bytes for limit in limits) + of_mqtt <= MAX_FILE_STORE


def _limits(text: str) -> set[str]:
    """Return the settings of a NATS configuration that may not differ, with their block."""
    found, block = set[str](), ""
    for line in map(str.strip, text.splitlines()):
        if line.endswith("{"):
            block = line.removesuffix("{").strip() + "."
        elif line == "}":
            block = ""
        elif line and line.split()[0] not in {
            "#",
            "listen:",
            "http:",
            "tls",
            "store_dir:",
            "dir:",
            "include",
        }:
            found.add(block + line)
    return found


async def _ignore(_: Exception) -> None:
    """Ignore the error; nats-py logs errors without a callback."""


def test_each_party_is_given_its_own_folder(compose: dict[str, Any]) -> None:
    """Each service gets its credentials, deploy its keys, the server the public files; none gets the root seeds."""
    given: dict[str, set[str]] = {}
    for name, service in compose["services"].items():
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])} & FOLDERS
        if volumes:
            given[name] = volumes
    assert given.pop("nats-keys") == FOLDERS
    assert given.pop("nats") == {"nats-server"}
    assert given.pop("provision") == {"nats-admin"}
    assert given.pop("deploy") == {"nats-service-deploy", "nats-deploy"}
    assert given == {name: {f"nats-service-{name}"} for name in SERVICES if name != "deploy"}
    folder = Path(compose["x-settings"]["K1_NATS_CREDS"]).parent
    for name in SERVICES:
        assert f"nats-service-{name}:{folder}:ro" in compose["services"][name]["volumes"]
    receivers = [
        name for name, s in compose["services"].items() if "K1_DEPLOY_NATS_KEYS" in s.get("environment", {})
    ]
    assert receivers == ["deploy"]


def test_on_a_network_every_client_of_the_bus_trusts_the_ca(compose: dict[str, Any]) -> None:
    """The file that opens the ports for devices changes the address of NATS for all services; none gets the CA's key."""
    listening = yaml.safe_load((CHECKOUT / "docker-compose.listen.yml").read_text())["services"]
    users = {
        name for name, each in compose["services"].items() if "K1_NATS_URL" in each.get("environment", {})
    }
    trusting = {name for name, each in listening.items() if "K1_NATS_CA" in each.get("environment", {})}
    assert trusting == users - {each for each in users if each.startswith("migrate")}, (
        "these talk to databases alone"
    )
    for name in trusting:
        assert listening[name]["environment"]["K1_NATS_URL"] == "tls://nats:4222"
        assert "./tls/ca.pem:/etc/k1/ca.pem:ro" in listening[name]["volumes"]
    assert not [name for name, each in listening.items() if "ca.key" in str(each)]


def test_every_image_is_built_from_the_one_dockerfile(compose: dict[str, Any]) -> None:
    """One build for each service, with its name as the argument; what runs once uses the image of a service."""
    built: dict[str, str] = {}
    for service in compose["services"].values():
        if build := service.get("build"):
            assert build["dockerfile"] == "docker/Dockerfile"
            assert service["image"] == f"k1-{build['args']['SERVICE']}:${{K1_VERSION:-local}}"
            built[service["image"]] = build["args"]["SERVICE"]
    assert sorted(built.values()) == SERVICES
    assert list(CHECKOUT.glob("services/*/Dockerfile*")) == []


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_the_libraries_that_its_service_needs(service: str, tmp_path: Path) -> None:
    """The Dockerfile's own command finds all of them, also those that another library needs, and no other."""
    text = (CHECKOUT / "docker" / "Dockerfile").read_text().replace("\\\n", " ")
    (command,) = re.findall(r"^RUN (sed .*)$", text, re.MULTILINE)
    project = tmp_path / "services" / service
    project.mkdir(parents=True)
    shutil.copy(CHECKOUT / "services" / service / "pyproject.toml", project)
    environment = {"SERVICE": service, "PATH": os.environ["PATH"]}
    subprocess.run(["/bin/sh", "-e", "-c", command], cwd=tmp_path, env=environment, check=True)

    waiting, needed = [CHECKOUT / "services" / service], set[str]()
    while waiting:
        libraries = _own_libraries(waiting.pop()) - needed
        needed |= libraries
        waiting += [CHECKOUT / "libs" / name for name in libraries]
    assert set((tmp_path / "libraries.txt").read_text().split()) == needed
    assert set((tmp_path / "own-folders.txt").read_text().split()) == {f"./libs/{name}" for name in needed}
    copied = set(re.findall(r"^COPY libs/(\w+)/pyproject.toml", text, re.MULTILINE))
    assert copied == {path.parent.name for path in CHECKOUT.glob("libs/*/pyproject.toml")}


def _own_libraries(folder: Path) -> set[str]:
    """Return the names, without `k1-`, of our libraries that a project depends on."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    names = {Requirement(line).name for line in project["dependencies"]}
    return {name.removeprefix("k1-") for name in names if name.startswith("k1-")}


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_listens_where_compose_looks(service: str) -> None:
    """The address of each service is set by its own prefix; its port is the one of the health check."""
    text = (CHECKOUT / "docker" / "Dockerfile").read_text()
    prefix = f"K1_{service.upper()}_"
    assert f"{prefix}HOST=0.0.0.0 {prefix}PORT=8080" in text
    assert "EXPOSE 8080" in text
    assert "http://127.0.0.1:8080/readyz" in text
