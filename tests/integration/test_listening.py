"""Devices on a network: another address than loopback, with TLS and a CA that provisioning installs."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from k1_cli.devices.provisioning import write_credentials
from k1_cli.simulator.fleet_runner import FleetOptions, run_devices
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.listen_options import ListenOptions
from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import DEVICE_HELLO, Transport
from k1_contracts.messages.deploy.devices import DevicesAdded
from k1_platform.auth.device_credentials import load_device_keys, mint
from k1_platform.auth.jwt import KeyKind, KeyPair
from k1_platform.auth.tls import client_context
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.settings import NatsSettings, ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import provisioned
from k1_simulator.links.link import LinkError
from k1_simulator.links.mqtt_link import mqtt_link
from k1_simulator.links.nats_link import nats_link
from simulator.tests.commander import PATIENCE_S, Commander
from simulator.tests.conftest import stage_fields
from simulator.tests.shows import KEY, bundle, jwk_set
from tests.support.bus import connected_client
from tests.support.processes import running_process

ADDRESS = "127.0.0.2"
DEVICES: dict[str, Transport] = {"over-nats": "nats", "over-mqtt": "mqtt"}
DEVICE_DOCUMENT = Path(__file__).parents[2] / "docs" / "minimal-device" / "device.py"
NO_TELEMETRY = BehaviourConfig(telemetry=False, reconnect_s=0.05)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Run servers on another address than 127.0.0.1, with the certificate that the first start makes."""
    home = tmp_path_factory.mktemp("listening") / "home"
    with EmbeddedStack(home, ListenOptions(ADDRESS).network(home)) as running:
        yield running


def added(stack: EmbeddedStack) -> DevicesAdded:
    """Return what deploy responds when devices are added."""
    keys, now = load_device_keys(stack.urls.nats_keys.deploy), int(time.time())
    return DevicesAdded(
        credentials=[
            mint(keys, name, transport, KeyPair.generate(KeyKind.USER), now).credential
            for name, transport in DEVICES.items()
        ],
        trusted_keys=jwk_set(KEY),
        servers=stack.device_servers,
    )


def servers_of(stack: EmbeddedStack, ca: Path | None) -> Servers:
    servers = stack.device_servers
    return Servers(NatsSettings(url=servers.nats_url or "", creds=None, ca=ca), servers.mqtt_url)


def object_store(stack: EmbeddedStack) -> ObjectStore:
    urls = stack.urls
    settings = ObjectStoreSettings(
        url=urls.s3_url,
        public_url=None,
        ca=urls.ca,
        access_key=SecretStr(urls.s3_access_key),
        secret_key=SecretStr(urls.s3_secret_key),
    )
    return ObjectStore(settings)


@asynccontextmanager
async def connected(stack: EmbeddedStack) -> AsyncGenerator[Client]:
    """Connect to the broker as a service, and provision it."""
    async with connected_client(NatsSettings.of(stack.urls.environment())) as client:
        await provision_bus(client.jetstream(timeout=60))
        yield client


@asynccontextmanager
async def bundle_to_stage(stack: EmbeddedStack) -> AsyncGenerator[dict[str, Any]]:
    """Store bundle 1 and return the fields of the command that stages it."""
    objects = object_store(stack)
    await objects.ensure_bucket()
    await objects.put_bytes("bundles/1.k1b", bundle(1).data, "application/octet-stream")
    try:
        yield stage_fields(1, objects.signed_url("bundles/1.k1b", expires=timedelta(hours=1)))
    finally:
        objects.close()


async def stage_on_all(client: Client, stage: dict[str, Any]) -> None:
    commander = Commander(client)
    await commander.start()
    for name in DEVICES:
        reply = await commander.call(name, "stage", f"stage-{name}", **stage)
        assert (reply.status, reply.code) == ("done", None), reply


async def test_devices_get_a_bundle_over_tls(stack: EmbeddedStack, tmp_path: Path) -> None:
    """With the CA they connect over NATS and MQTT, execute commands, and download the bundle from its signed URL."""
    servers = servers_of(stack, stack.network.ca)
    fleet = Fleet(provisioned(added(stack)), servers=servers, folder=tmp_path, behaviour=NO_TELEMETRY)
    async with connected(stack) as client, bundle_to_stage(stack) as stage, fleet:
        assert stage["url"].startswith(f"https://{ADDRESS}:")
        await stage_on_all(client, stage)


@contextmanager
def documented_devices(stack: EmbeddedStack, folder: Path) -> Generator[None]:
    """Run the documented device once per transport, with the files that `devices add` writes."""
    with ExitStack() as processes:
        for file in write_credentials(added(stack), folder):
            (state := folder / file.name.split(".")[0]).mkdir()
            command = [sys.executable, DEVICE_DOCUMENT, file, state]
            processes.enter_context(running_process(command))
        yield


async def test_the_documented_device_gets_a_bundle_over_tls(stack: EmbeddedStack, tmp_path: Path) -> None:
    """It reads addresses and CA only from the files of `devices add`, over NATS and over MQTT."""
    async with connected(stack) as client, bundle_to_stage(stack) as stage:
        hellos = await client.subscribe(DEVICE_HELLO.pattern)
        await client.flush()
        with documented_devices(stack, tmp_path):
            subjects_seen = {(await hellos.next_msg(PATIENCE_S)).subject for _ in DEVICES}
            assert subjects_seen == {subjects.device(name, "hello") for name in DEVICES}
            await stage_on_all(client, stage)
            for name in DEVICES:
                assert (tmp_path / name / stage["bundle_sha256"]).read_bytes() == bundle(1).data


async def test_a_device_without_the_ca_does_not_connect(stack: EmbeddedStack) -> None:
    """A device that only trusts the CAs of its system refuses the servers, with a clear error."""

    async def receive(*_: object) -> None:
        """No command comes."""

    servers, (over_nats, over_mqtt) = servers_of(stack, None), added(stack).credentials
    for link in (
        nats_link(over_nats.device_id, servers.nats, over_nats),
        mqtt_link(over_mqtt.device_id, servers.mqtt_url or "", over_mqtt, client_context(None)),
    ):
        with pytest.raises(LinkError, match="certificate verify failed"):
            await link(receive)


def test_the_simulator_runs_from_credential_files_alone(
    stack: EmbeddedStack, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of `devices add` have the addresses and the trusted CA of both transports."""
    write_credentials(added(stack), tmp_path)
    online: list[str] = []

    async def stay_until_online(fleet: Fleet, *_: object, **__: object) -> None:
        online.extend(name for name, state in fleet.states().items() if state.online)

    monkeypatch.setattr("k1_cli.simulator.fleet_runner._watch", stay_until_online)
    plan = FleetOptions(0, "nats", None, 0, "k1", None, factory=False, renew=False, credentials=tmp_path)
    run_devices(tmp_path / "no-home", plan, as_json=True)
    assert sorted(online) == sorted(DEVICES)
    assert stack.urls.nats_url in (tmp_path / "over-nats.creds").read_text()
    assert not (tmp_path / "no-home").exists()


def test_databases_stay_on_loopback(stack: EmbeddedStack) -> None:
    """PostgreSQL and MongoDB cannot be reached on the network address."""
    urls = stack.urls
    assert "@127.0.0.1:" in urls.postgres_dsn
    assert stack.server("mongo").port is None

    async def refused() -> None:
        port = stack.server("postgres").port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(ADDRESS, port)

    asyncio.run(refused())
