"""Devices on a network: another address than loopback, with TLS, and a CA that provisioning installs."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from k1_cli.embedded import EmbeddedStack
from k1_cli.listening import Listening
from k1_cli.provisioning import write_credentials
from k1_cli.simulated import Plan, run_devices
from k1_contracts import subjects
from k1_contracts.messages.device_link import Transport
from k1_contracts.messages.devices import DevicesAdded
from k1_platform.device_credentials import load_device_keys, mint
from k1_platform.nats_connection import connect_options
from k1_platform.nats_jwt import KeyKind, KeyPair
from k1_platform.objects import ObjectStore
from k1_platform.provision import provision_bus
from k1_platform.settings import NatsSettings, ObjectStoreSettings
from k1_platform.tls import client_context
from k1_simulator.fleet import Fleet
from k1_simulator.fleet_context import BehaviourConfig, Servers
from k1_simulator.identity import provisioned
from k1_simulator.links.link import LinkError
from k1_simulator.links.mqtt_link import mqtt_link
from k1_simulator.links.nats_link import nats_link
from simulator.tests.commander import PATIENCE_S, Commander
from simulator.tests.conftest import stage_fields
from simulator.tests.shows import KEY, bundle, jwk_set

ADDRESS = "127.0.0.2"
DEVICES: dict[str, Transport] = {"over-nats": "nats", "over-mqtt": "mqtt"}
DEVICE_DOCUMENT = Path(__file__).parents[2] / "docs" / "minimal-device" / "device.py"
NO_TELEMETRY = BehaviourConfig(telemetry=False, reconnect_s=0.05)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Servers that listen on another address than 127.0.0.1, with the certificate that the first start makes."""
    home = tmp_path_factory.mktemp("listening") / "home"
    with EmbeddedStack(home, Listening(ADDRESS).network(home)) as running:
        yield running


def added(stack: EmbeddedStack) -> DevicesAdded:
    """What deploy answers when devices are added."""
    keys, now = load_device_keys(stack.urls.nats_deploy_keys), int(time.time())
    return DevicesAdded(
        credentials=[
            mint(keys, name, transport, KeyPair.generate(KeyKind.USER), now).credential
            for name, transport in DEVICES.items()
        ],
        trusted_keys=jwk_set(KEY),
        servers=stack.device_servers,
    )


def servers_of(stack: EmbeddedStack, ca: Path | None) -> Servers:
    told = stack.device_servers
    return Servers(NatsSettings(url=told.nats_url or "", creds=None, ca=ca), told.mqtt_url)


def object_store(stack: EmbeddedStack) -> ObjectStore:
    urls = stack.urls
    keys = {"access_key": SecretStr(urls.s3_access_key), "secret_key": SecretStr(urls.s3_secret_key)}
    return ObjectStore(ObjectStoreSettings(url=urls.s3_url, public_url=None, ca=urls.ca, **keys))


@asynccontextmanager
async def connected(stack: EmbeddedStack) -> AsyncGenerator[Client]:
    """A connection of the services to a bus that is provisioned."""
    client = await nats.connect(**connect_options(NatsSettings.of(stack.urls.environment())))
    await provision_bus(client.jetstream(timeout=60))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def bundle_to_stage(stack: EmbeddedStack) -> AsyncGenerator[dict[str, Any]]:
    """The fields of a command that stages bundle 1, which is in the store."""
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
        answer = await commander.call(name, "stage", f"stage-{name}", **stage)
        assert (answer.status, answer.code) == ("done", None), answer


async def test_devices_get_a_bundle_over_tls(stack: EmbeddedStack, tmp_path: Path) -> None:
    """Over NATS and over MQTT: connected, commanded, and the bundle fetched from its signed URL, all with the CA."""
    servers = servers_of(stack, stack.network.ca)
    fleet = Fleet(provisioned(added(stack)), servers=servers, folder=tmp_path, behaviour=NO_TELEMETRY)
    async with connected(stack) as client, bundle_to_stage(stack) as stage, fleet:
        assert stage["url"].startswith(f"https://{ADDRESS}:")
        await stage_on_all(client, stage)


@contextmanager
def devices_of_the_documents(stack: EmbeddedStack, folder: Path) -> Generator[None]:
    """One process a transport, from the files that `devices add` writes."""
    with ExitStack() as processes:
        for file in write_credentials(added(stack), folder):
            (state := folder / file.name.split(".")[0]).mkdir()
            command = [sys.executable, DEVICE_DOCUMENT, file, state]
            processes.callback(end, subprocess.Popen([*map(str, command)]))
        yield


async def test_the_device_of_the_documents_gets_a_bundle_over_tls(
    stack: EmbeddedStack, tmp_path: Path
) -> None:
    """It takes addresses and CA from the files of `devices add` alone, over NATS and over MQTT."""
    async with connected(stack) as client, bundle_to_stage(stack) as stage:
        hellos = await client.subscribe(subjects.DEVICE_HELLOS)
        await client.flush()
        with devices_of_the_documents(stack, tmp_path):
            said = {(await hellos.next_msg(PATIENCE_S)).subject for _ in DEVICES}
            assert said == {subjects.device(name, "hello") for name in DEVICES}
            await stage_on_all(client, stage)
            for name in DEVICES:
                assert (tmp_path / name / stage["bundle_sha256"]).read_bytes() == bundle(1).data


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


async def test_a_device_without_the_ca_stays_out(stack: EmbeddedStack) -> None:
    """A device that trusts the CAs of its system alone refuses the servers, and says why."""

    async def heard(*_: object) -> None:
        """No command comes."""

    servers, (over_nats, over_mqtt) = servers_of(stack, None), added(stack).credentials
    for link in (
        nats_link(over_nats.device_id, servers.nats, over_nats),
        mqtt_link(over_mqtt.device_id, servers.mqtt_url or "", over_mqtt, client_context(None)),
    ):
        with pytest.raises(LinkError, match="certificate verify failed"):
            await link(heard)


def test_the_simulator_runs_from_credential_files_alone(
    stack: EmbeddedStack, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `devices add` writes says where the servers are and whom to trust, for both transports."""
    write_credentials(added(stack), tmp_path)
    online: list[str] = []

    async def stay_until_online(fleet: Fleet, *_: object, **__: object) -> None:
        online.extend(name for name, state in fleet.states().items() if state.online)

    monkeypatch.setattr("k1_cli.simulated._watch", stay_until_online)
    plan = Plan(0, "nats", None, 0, "k1", None, factory=False, renew=False, credentials=tmp_path)
    run_devices(tmp_path / "no-home", plan, as_json=True)
    assert sorted(online) == sorted(DEVICES)
    assert stack.urls.nats_url in (tmp_path / "over-nats.creds").read_text()
    assert not (tmp_path / "no-home").exists()


def test_databases_stay_on_loopback(stack: EmbeddedStack) -> None:
    """PostgreSQL and MongoDB cannot be reached by the address that is listened on."""
    urls = stack.urls
    assert "@127.0.0.1:" in urls.postgres_dsn
    assert stack.server("mongo").port is None

    async def refused() -> None:
        port = stack.server("postgres").port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(ADDRESS, port)

    asyncio.run(refused())
