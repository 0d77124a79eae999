"""The chart of NATS makes of the values in deploy/k8s/nats what the servers accept and the system needs."""

import os
import re
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from nats.errors import Error as NatsError

from k1_cli.stack.embedded.ports import free_port
from k1_cli.stack.embedded.programs import find_program
from k1_cli.stack.embedded.servers.nats import MAX_PAYLOAD
from k1_contracts import streams
from k1_contracts.messages.deploy.device_link import Transport
from k1_contracts.messages.deploy.devices import DevicesAdded
from k1_platform.auth.device_credentials import load_device_keys, mint
from k1_platform.auth.jwt import KeyKind, KeyPair
from k1_platform.auth.nkeys import NatsKeys, ensure_nats_keys
from k1_platform.auth.service_permissions import SERVICES, inbox_prefix
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.settings import NatsSettings
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import provisioned
from simulator.tests.shows import KEY, jwk_set
from tests.support.bus import connected_client
from tests.support.documents.generators import ROOT, run
from tests.support.documents.kubernetes import Manifest, helm, of_kind
from tests.support.servers.tls import Certificates
from tests.support.waiting import eventually, wait_until

CHART: Final = ROOT / "tests" / "deploy" / "charts" / "nats-2.14.2.tgz"
VALUES: Final = ROOT / "deploy" / "k8s" / "nats"
SMALL: Final = ("values.yaml", "values-dev.yaml")
PLAIN: Final = ("values.yaml",)
ENCRYPTED: Final = ("values.yaml", "values-tls.yaml")
MIRRORED: Final = (*ENCRYPTED, "values-mirrored.yaml")
MIRROR: Final = (*ENCRYPTED, "values-mirror.yaml")
ALL: Final = {"dev": SMALL, "plain": PLAIN, "tls": ENCRYPTED, "mirrored": MIRRORED, "mirror": MIRROR}
DEVICES: Final[dict[str, Transport]] = {"over-nats": "nats", "over-mqtt": "mqtt"}
TRANSIENT: Final = (NatsError, TimeoutError)
"""While a leader is elected, the cluster does not answer."""


@cache
def rendered(values: Sequence[str]) -> dict[str, Manifest]:
    """Return what helm makes of the chart, by kind and name."""
    options = [part for name in values for part in ("--values", str(VALUES / name))]
    made = run(helm(), "template", "nats", str(CHART), "--namespace", "k1", *options)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(made)}


def server_container(values: Sequence[str]) -> dict[str, Any]:
    """Return the container of the server."""
    pod = rendered(values)["StatefulSet/nats"]["spec"]["template"]["spec"]
    (container,) = [each for each in pod["containers"] if each["name"] == "nats"]
    return container


@dataclass(frozen=True)
class Node:
    """One server: its folder stands for the file system of its container."""

    folder: Path
    ports: dict[str, int]

    def write(self, configuration: str, keys: NatsKeys, certificates: Certificates) -> Path:
        """Write the configuration with its paths below the folder, and everything that is mounted in the container."""
        for name in ("etc/nats-config", "etc/nats-operator", "etc/nats-ca-cert", "var/run/nats", "data"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "etc/nats-operator/operator.conf").write_bytes(keys.server_configuration.read_bytes())
        (self.folder / "etc/nats-ca-cert/ca.crt").write_bytes(certificates.ca.read_bytes())
        for name in ("nats", "mqtt", "cluster"):
            (secret := self.folder / "etc/nats-certs" / name).mkdir(parents=True)
            for file in ("tls.crt", "tls.key"):
                (secret / file).write_bytes(certificates.server.read_bytes())
        file = self.folder / "etc/nats-config/nats.conf"
        file.write_text(re.sub(r'"(/(?:etc|var|data))', rf'"{self.folder}\1', configuration))
        return file


def moved(configuration: str, ports: dict[str, int], routes: Sequence[int]) -> str:
    """Return the configuration with ports of this machine, on loopback alone, and routes to them."""
    for name, number in {"nats": "4222", "mqtt": "1883|8883", "cluster": "6222"}.items():
        configuration = re.sub(
            rf'"port": (?:{number})\b', f'"host": "127.0.0.1", "port": {ports[name]}', configuration
        )
    configuration = re.sub(r'"http_port": 8222', f'"http": "127.0.0.1:{ports["monitor"]}"', configuration)
    for number, port in enumerate(routes):
        configuration = configuration.replace(f"nats-{number}.nats-headless:6222", f"127.0.0.1:{port}")
    return configuration


@dataclass(frozen=True)
class NatsServers:
    """The servers of one installation that run."""

    nodes: Sequence[Node]
    keys: NatsKeys
    certificates: Certificates
    scheme: str
    processes: Sequence[subprocess.Popen[bytes]]

    def settings(self, credentials: Path | None) -> NatsSettings:
        """Return the settings of a client with these credentials."""
        url = ",".join(f"{self.scheme}://127.0.0.1:{node.ports['nats']}" for node in self.nodes)
        return NatsSettings(url=url, creds=credentials, ca=self.ca)

    @property
    def ca(self) -> Path | None:
        """The CA that clients trust, if there is TLS."""
        return self.certificates.ca if self.scheme == "tls" else None

    def variables(self) -> dict[str, Any]:
        """Return what the monitoring endpoint of the first server says."""
        return httpx.get(f"http://127.0.0.1:{self.nodes[0].ports['monitor']}/varz").json()


def _is_healthy(process: subprocess.Popen[bytes], node: Node) -> bool:
    """Ask what the probes of the pod ask."""
    assert process.poll() is None, "the server has ended"
    return httpx.get(f"http://127.0.0.1:{node.ports['monitor']}/healthz").is_success


@contextmanager
def running(values: Sequence[str], folder: Path) -> Generator[NatsServers]:
    """Run as many servers as the StatefulSet has replicas."""
    configuration = rendered(values)["ConfigMap/nats-config"]["data"]["nats.conf"]
    count = rendered(values)["StatefulSet/nats"]["spec"]["replicas"]
    names = ("nats", "mqtt", "cluster", "monitor")
    nodes = [Node(folder / f"nats-{each}", {name: free_port() for name in names}) for each in range(count)]
    keys, certificates = ensure_nats_keys(folder / "keys"), Certificates.make(folder / "tls")
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, node in enumerate(nodes):
            text = moved(configuration, node.ports, [each.ports["cluster"] for each in nodes])
            file = node.write(text, keys, certificates)
            command = (find_program("nats-server"), "-c", str(file))
            environment = {**os.environ, "SERVER_NAME": f"nats-{number}"}
            processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        for node, process in zip(nodes, processes, strict=True):
            wait_until(
                partial(_is_healthy, process, node), "the server is healthy", retry_on=(httpx.TransportError,)
            )
        yield NatsServers(nodes, keys, certificates, "tls" if values == ENCRYPTED else "nats", processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def fleet(servers: NatsServers, folder: Path) -> Fleet:
    """Return a device for each transport, as deploy adds them."""
    device_keys, now = load_device_keys(servers.keys.deploy), int(time.time())
    added = DevicesAdded(
        credentials=[
            mint(device_keys, name, transport, KeyPair.generate(KeyKind.USER), now).credential
            for name, transport in DEVICES.items()
        ],
        trusted_keys=jwk_set(KEY),
    )
    scheme = "mqtts" if servers.scheme == "tls" else "mqtt"
    mqtt = f"{scheme}://127.0.0.1:{servers.nodes[0].ports['mqtt']}"
    behaviour = BehaviourConfig(telemetry=False, reconnect_s=0.05)
    return Fleet(
        provisioned(added), servers=Servers(servers.settings(None), mqtt), folder=folder, behaviour=behaviour
    )


@pytest.mark.parametrize("values", ALL.values(), ids=ALL)
def test_every_file_of_the_configuration_is_mounted(values: Sequence[str]) -> None:
    """Also the file that it includes, whose path is relative to its own."""
    mounts = [each["mountPath"] for each in server_container(values)["volumeMounts"]]
    configuration = rendered(values)["ConfigMap/nats-config"]["data"]["nats.conf"]
    assert "include ../nats-operator/operator.conf" in configuration
    for path in (*re.findall(r'"(/[^"]+)"', configuration), "/etc/nats-operator/operator.conf"):
        assert any(path == mount or path.startswith(f"{mount}/") for mount in mounts), path


def test_the_exporter_of_mirrors_is_scraped() -> None:
    """The alerts about mirrors need its metrics: its port and its pods are those of the PodMonitor."""
    monitor = rendered(MIRROR)["PodMonitor/nats"]["spec"]
    pod = rendered(MIRROR)["StatefulSet/nats"]["spec"]["template"]
    (exporter,) = [each for each in pod["spec"]["containers"] if each["name"] == "prom-exporter"]
    assert [each["port"] for each in monitor["podMetricsEndpoints"]] == [
        each["name"] for each in exporter["ports"]
    ]
    assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert any("jsz" in argument for argument in exporter["args"])


def test_the_certificate_is_valid_for_the_routes() -> None:
    """The servers verify each other by the names in the addresses of their routes."""
    configuration = rendered(ENCRYPTED)["ConfigMap/nats-config"]["data"]["nats.conf"]
    hosts = re.findall(r"tls://([^:]+):6222", configuration)
    names = of_kind("prod", "Certificate")["k1-nats-tls"]["spec"]["dnsNames"]
    assert len(hosts) == 3
    for host in hosts:
        assert f"*.{host.partition('.')[2]}" in names


@pytest.mark.parametrize("values", ALL.values(), ids=ALL)
def test_memory_and_disk_suffice(values: Sequence[str]) -> None:
    """Go collects its garbage before the container's limit, and the streams fit into the volume."""
    container = server_container(values)
    (limit,) = [each["value"] for each in container["env"] if each["name"] == "GOMEMLIMIT"]
    memory = container["resources"]["limits"]["memory"]
    allowed = int(memory.removesuffix("Gi")) * 1024
    assert int(limit.removesuffix("MiB")) <= 0.9 * allowed
    claims = rendered(values)["StatefulSet/nats"]["spec"]["volumeClaimTemplates"]
    (volume,) = [each for each in claims if each["metadata"]["name"] == "nats-js"]
    size = int(volume["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    configuration = rendered(values)["ConfigMap/nats-config"]["data"]["nats.conf"]
    (store,) = re.findall(r'"max_file_store": (\d+)Gi', configuration)
    assert int(store) < size
    assert sum(each.max_bytes for each in streams.STREAMS) <= int(store) * 1024**3


@pytest.mark.parametrize("values", [SMALL, ENCRYPTED], ids=["dev", "tls"])
async def test_the_servers_run_with_the_credentials_of_the_project(
    values: Sequence[str], tmp_path: Path
) -> None:
    """Provisioning, each service and devices over NATS and MQTT connect; limits are those of the values.

    Of three servers each stores everything, and the system works on without one.
    """
    with running(values, tmp_path) as servers:
        replicas = len(servers.nodes)
        variables = servers.variables()
        (store,) = re.findall(
            r'"max_file_store": (\d+)Gi', rendered(values)["ConfigMap/nats-config"]["data"]["nats.conf"]
        )
        assert variables["max_payload"] == MAX_PAYLOAD
        assert variables["jetstream"]["config"]["max_storage"] == int(store) * 1024**3
        admin = servers.settings(servers.keys.admin_credentials)
        async with connected_client(admin, max_reconnect_attempts=-1) as client:
            jetstream = client.jetstream(timeout=5)

            async def is_provisioned() -> bool:
                await provision_bus(jetstream, replicas=replicas)
                return True

            await eventually(is_provisioned, "everything is provisioned", retry_on=TRANSIENT)
            for service in SERVICES:
                settings = servers.settings(servers.keys.service_credentials(service))
                async with connected_client(settings, inbox_prefix=inbox_prefix(service)):
                    pass
            async with fleet(servers, tmp_path / "devices") as devices:
                assert [state.online for state in devices.states().values()] == [True, True]
            mqtt = await jetstream.stream_info("$MQTT_msgs")
            assert mqtt.config.num_replicas == replicas
            if replicas > 1:
                bucket = await jetstream.key_value(streams.JOB_PLACES.name)
                servers.processes[0].kill()
                await eventually(lambda: bucket.put("job", b"x"), "a bucket works on", retry_on=TRANSIENT)


async def test_without_credentials_the_server_refuses(tmp_path: Path) -> None:
    """The operator's tokens are in force: the included file was read."""
    with running(SMALL, tmp_path) as servers, pytest.raises(NatsError, match=r"[Aa]uthorization"):
        async with connected_client(servers.settings(None), allow_reconnect=False):
            pass
