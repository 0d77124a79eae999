"""Revoking credentials of devices on a real server: at once, permanently, and no others."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_deploy.devices.access.credential_issuer import NatsCredentialIssuer
from k1_platform.auth.jwt import KeyKind, KeyPair, decode, parse_credentials
from k1_platform.auth.nkeys import ensure_nats_keys
from k1_platform.errors import TransientError
from k1_platform.nats.administration import accounts
from k1_platform.nats.administration.accounts import AccountRejectedError
from k1_platform.nats.administration.provision import provision_bus
from services.deploy.tests.devices.access.device_connections import (
    issuer_for,
    over_mqtt,
    over_nats,
    refused_mqtt,
    refused_nats,
)
from tests.support.bus import connected_client, flush
from tests.support.servers.nats_server import running_nats_server
from tests.support.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow server of a busy machine is not a server that is down."""
    monkeypatch.setattr(accounts, "_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that a test may stop and kill."""
    with running_nats_server(tmp_path / "home", provisioned=True) as running:
        yield running


async def provision_server(server: NatsServer) -> None:
    """Connect with the credentials of a service, and use them."""
    async with connected_client(server.settings) as client:
        await provision_bus(client.jetstream(timeout=PATIENCE_S))


async def refused(server: NatsServer, credential: DeviceCredential, folder: Path) -> bool:
    if credential.transport == "mqtt":
        return await refused_mqtt(server, credential)
    token, user = parse_credentials(credential.secret)
    return await refused_nats(server, token, user, folder)


def replace_account(server: NatsServer) -> None:
    """Replace the account as the operations guide describes."""
    environment = {"K1_NATS_KEYS": str(server.keys.folder), "K1_NATS_URL": server.url}
    subprocess.run(
        [sys.executable, "-m", "k1_platform.nats.administration.accounts"], env=environment, check=True
    )


async def test_a_connected_device_is_disconnected_at_once(server: NatsServer, tmp_path: Path) -> None:
    """Over NATS and MQTT; a device with a valid credential stays connected."""
    a, b = (issuer_for(server).mint(name, "nats") for name in "AB")
    q = issuer_for(server).mint("Q", "mqtt")
    async with over_nats(server, b.credential, tmp_path) as staying:
        with pytest.raises(aiomqtt.MqttError):
            async with (
                over_nats(server, a.credential, tmp_path) as link,
                over_mqtt(server, q.credential) as mqtt,
            ):
                await issuer_for(server).revoke([a.public_key, q.public_key])
                async with asyncio.timeout(PATIENCE_S):
                    await link.closed.wait()
                    await anext(aiter(mqtt.messages))
        await flush(staying.client)
        assert staying.client.is_connected
        assert staying.errors == []


async def test_a_revoked_credential_stays_out(server: NatsServer, tmp_path: Path) -> None:
    """Neither a restart nor a kill of the server, nor another revocation in the same second, makes it valid.

    The device itself connects with a new credential.
    """
    issuer = issuer_for(server)
    a, q, b = issuer.mint("A", "nats"), issuer.mint("Q", "mqtt"), issuer.mint("B", "nats")
    await issuer_for(server).revoke([a.public_key])
    await issuer_for(server).revoke([a.public_key, q.public_key])
    for end in (server.stop, server.kill):
        assert [await refused(server, one.credential, tmp_path) for one in (a, q, b)] == [True, True, False]
        await asyncio.to_thread(end)
        await asyncio.to_thread(server.start)
    assert [await refused(server, one.credential, tmp_path) for one in (a, q, b)] == [True, True, False]
    assert not await refused(server, issuer_for(server).mint("A", "nats").credential, tmp_path)


async def test_exactly_the_given_keys_are_revoked(server: NatsServer, tmp_path: Path) -> None:
    """A key that is left out is valid again: the database decides, not the server."""
    a, b = (issuer_for(server).mint(name, "nats") for name in "AB")
    await issuer_for(server).revoke([a.public_key, b.public_key])
    await issuer_for(server).revoke([b.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [False, True]


async def test_a_clock_that_was_ahead_does_not_prevent_a_revocation(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential issued by a clock that is years ahead can be revoked, also after one revoked by that clock."""
    with monkeypatch.context() as ahead:
        ahead.setattr("time.time", lambda: 4_000_000_000)
        a, b = (issuer_for(server).mint(name, "nats") for name in "AB")
    await issuer_for(server).revoke([a.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [True, False]
    with monkeypatch.context() as ahead:
        ahead.setattr("time.time", lambda: 4_000_000_000)
        await issuer_for(server).revoke([])
    await issuer_for(server).revoke([a.public_key, b.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [True, True]


async def test_revocations_are_restored_on_a_server_that_lost_them(
    server: NatsServer, tmp_path: Path
) -> None:
    """A server that lost its accounts has no revocations until the service pushes them, as it does at its start."""
    a = issuer_for(server).mint("A", "nats")
    await issuer_for(server).revoke([a.public_key])
    await asyncio.to_thread(server.stop)
    for file in (server.home.data("nats") / "accounts").iterdir():
        file.unlink()
    await asyncio.to_thread(server.start)
    assert not await refused(server, a.credential, tmp_path)
    await issuer_for(server).revoke([a.public_key])
    assert await refused(server, a.credential, tmp_path)


async def test_ten_thousand_revocations(server: NatsServer, tmp_path: Path) -> None:
    """The account with all of them still fits into a message, and they hold."""
    a = issuer_for(server).mint("A", "nats")
    others = [KeyPair.generate(KeyKind.USER).public_key for _ in range(10_000)]
    await issuer_for(server).revoke([*others, a.public_key])
    assert await refused(server, a.credential, tmp_path)


async def test_a_server_that_is_down_is_transient(server: NatsServer) -> None:
    """The caller tries again; issuing needs no server."""
    await asyncio.to_thread(server.stop)
    minted = issuer_for(server).mint("A", "nats")
    with pytest.raises(TransientError, match="account could not be replaced"):
        await issuer_for(server).revoke([minted.public_key])


async def test_rotating_the_device_key_ends_all_credentials_of_devices(
    server: NatsServer, tmp_path: Path
) -> None:
    """Rotation: remove the seed, make the keys, replace the account; revocations stay, services continue."""
    a, q = issuer_for(server).mint("A", "nats"), issuer_for(server).mint("Q", "mqtt")
    await issuer_for(server).revoke([q.public_key])
    (server.keys.deploy / "device.nk").unlink()
    ensure_nats_keys(server.keys.folder)
    assert not await refused(server, a.credential, tmp_path)
    replace_account(server)
    assert [await refused(server, one.credential, tmp_path) for one in (a, q)] == [True, True]
    assert not await refused(server, issuer_for(server).mint("A", "nats").credential, tmp_path)
    await provision_server(server)


async def test_rotating_the_services_key_ends_the_services_credentials(
    server: NatsServer, tmp_path: Path
) -> None:
    """Rotation of the services' key: the old file is refused, the new one is accepted, devices stay."""
    a = issuer_for(server).mint("A", "nats")
    old = parse_credentials(server.keys.admin_credentials.read_text())
    (server.keys.folder / "root" / "services.nk").unlink()
    ensure_nats_keys(server.keys.folder)
    assert (
        decode(parse_credentials(server.keys.admin_credentials.read_text())[0])["iss"]
        != decode(old[0])["iss"]
    )
    replace_account(server)
    assert await refused_nats(server, *old, tmp_path)
    assert not await refused(server, a.credential, tmp_path)
    await provision_server(server)


async def test_rotating_all_keys_of_deploy(server: NatsServer, tmp_path: Path) -> None:
    """After a leak of its folder all keys in it are worthless, and the streams are still there."""
    a, stolen = issuer_for(server).mint("A", "nats"), issuer_for(server)
    old_keeper = parse_credentials((server.keys.deploy / "system.creds").read_text())
    for name in ("deploy/device.nk", "deploy/device-mqtt.nk", "deploy/operator-signing.nk", "root/system.nk"):
        (server.keys.folder / name).unlink()
    ensure_nats_keys(server.keys.folder)
    await asyncio.to_thread(server.stop)
    shutil.rmtree(server.home.data("nats") / "accounts")
    await asyncio.to_thread(server.start)
    assert await refused_nats(server, *old_keeper, tmp_path)
    assert [await refused(server, one.credential, tmp_path) for one in (a, stolen.mint("B", "mqtt"))] == [
        True
    ] * 2
    with pytest.raises(AccountRejectedError, match="another operator key"):
        await stolen.revoke([])
    await issuer_for(server).revoke([a.public_key])
    assert not await refused(server, issuer_for(server).mint("A", "nats").credential, tmp_path)
    async with connected_client(server.settings) as client:
        assert await client.jetstream().stream_info("TELEMETRY")


def test_a_folder_without_a_key_is_named(tmp_path: Path) -> None:
    """The service says at its start which file is missing."""
    with pytest.raises(FileNotFoundError, match=r"account\.json"):
        NatsCredentialIssuer(tmp_path, "nats://127.0.0.1:1")
