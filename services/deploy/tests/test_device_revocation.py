"""Revoking devices' credentials on a real server: at once, for good, and nothing but those."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import nats
import pytest

from k1_cli.embedded.nats import NatsServer
from k1_contracts.messages.devices import DeviceCredential
from k1_deploy.devices.credentials import DeviceCredentials
from k1_platform import nats_account
from k1_platform.errors import TransientError
from k1_platform.nats_account import AccountRefusedError
from k1_platform.nats_connection import connect_options
from k1_platform.nats_jwt import KeyKind, KeyPair, decode, parse_credentials
from k1_platform.nats_keys import ensure_nats_keys
from services.deploy.tests.links import (
    PATIENCE_S,
    of,
    over_mqtt,
    over_nats,
    provision_server,
    refused_mqtt,
    refused_nats,
    settle,
)
from tests.support.nats_server import running_nats_server


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's server is not a server that is down."""
    monkeypatch.setattr(nats_account, "_TIMEOUT_S", PATIENCE_S)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that a test may stop and kill."""
    with running_nats_server(tmp_path / "home") as running:
        asyncio.run(provision_server(running))
        yield running


async def refused(server: NatsServer, credential: DeviceCredential, folder: Path) -> bool:
    if credential.transport == "mqtt":
        return await refused_mqtt(server, credential)
    token, user = parse_credentials(credential.secret)
    return await refused_nats(server, token, user, folder)


def replace_account(server: NatsServer) -> None:
    """As operations does it."""
    environment = {"K1_NATS_KEYS": str(server.keys.folder), "K1_NATS_URL": server.url}
    subprocess.run([sys.executable, "-m", "k1_platform.nats_account"], env=environment, check=True)


async def test_a_connected_device_is_cut_off_at_once(server: NatsServer, tmp_path: Path) -> None:
    """Over NATS and MQTT; a device whose credential stays notices nothing."""
    a, b = (of(server).mint(name, "nats") for name in "AB")
    q = of(server).mint("Q", "mqtt")
    async with over_nats(server, b.credential, tmp_path) as staying:
        with pytest.raises(aiomqtt.MqttError):
            async with (
                over_nats(server, a.credential, tmp_path) as link,
                over_mqtt(server, q.credential) as mqtt,
            ):
                await of(server).revoke([a.public_key, q.public_key])
                async with asyncio.timeout(PATIENCE_S):
                    await link.closed.wait()
                    await anext(aiter(mqtt.messages))
        await settle(staying.client)
        assert staying.client.is_connected
        assert staying.errors == []


async def test_a_revoked_credential_stays_out(server: NatsServer, tmp_path: Path) -> None:
    """Neither a restart nor a kill of the server lets it in, nor another revocation in the same second.

    The device itself comes back with a new credential.
    """
    a, q, b = (of(server).mint(*of_whom) for of_whom in (("A", "nats"), ("Q", "mqtt"), ("B", "nats")))
    await of(server).revoke([a.public_key])
    await of(server).revoke([a.public_key, q.public_key])
    for end in (server.stop, server.kill):
        assert [await refused(server, one.credential, tmp_path) for one in (a, q, b)] == [True, True, False]
        await asyncio.to_thread(end)
        await asyncio.to_thread(server.start)
    assert [await refused(server, one.credential, tmp_path) for one in (a, q, b)] == [True, True, False]
    assert not await refused(server, of(server).mint("A", "nats").credential, tmp_path)


async def test_what_is_revoked_is_what_the_caller_says(server: NatsServer, tmp_path: Path) -> None:
    """A key that is left out is valid again: the database is right, not the server."""
    a, b = (of(server).mint(name, "nats") for name in "AB")
    await of(server).revoke([a.public_key, b.public_key])
    await of(server).revoke([b.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [False, True]


async def test_a_clock_that_was_ahead_saves_no_credential(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential minted by a process years ahead is revoked like any other; so it is after one that revoked there."""
    with monkeypatch.context() as ahead:
        ahead.setattr("time.time", lambda: 4_000_000_000)
        a, b = (of(server).mint(name, "nats") for name in "AB")
    await of(server).revoke([a.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [True, False]
    with monkeypatch.context() as ahead:
        ahead.setattr("time.time", lambda: 4_000_000_000)
        await of(server).revoke([])
    await of(server).revoke([a.public_key, b.public_key])
    assert [await refused(server, one.credential, tmp_path) for one in (a, b)] == [True, True]


async def test_a_lost_store_is_told_again(server: NatsServer, tmp_path: Path) -> None:
    """A server that forgot its accounts has no revocations until the service says them again, as at its start."""
    a = of(server).mint("A", "nats")
    await of(server).revoke([a.public_key])
    await asyncio.to_thread(server.stop)
    for file in (server.home.data("nats") / "accounts").iterdir():
        file.unlink()
    await asyncio.to_thread(server.start)
    assert not await refused(server, a.credential, tmp_path)
    await of(server).revoke([a.public_key])
    assert await refused(server, a.credential, tmp_path)


async def test_ten_thousand_revocations(server: NatsServer, tmp_path: Path) -> None:
    """The account with all of them still fits into a message, and they hold."""
    a = of(server).mint("A", "nats")
    others = [KeyPair.generate(KeyKind.USER).public_key for _ in range(10_000)]
    await of(server).revoke([*others, a.public_key])
    assert await refused(server, a.credential, tmp_path)


async def test_a_server_that_is_down_is_transient(server: NatsServer) -> None:
    """The caller tries again; minting needs no server."""
    await asyncio.to_thread(server.stop)
    minted = of(server).mint("A", "nats")
    with pytest.raises(TransientError, match="account could not be replaced"):
        await of(server).revoke([minted.public_key])


async def test_a_device_key_made_anew_ends_all_devices(server: NatsServer, tmp_path: Path) -> None:
    """Rotation: remove the seed, make the keys, replace the account; revocations are kept, services go on."""
    a, q = of(server).mint("A", "nats"), of(server).mint("Q", "mqtt")
    await of(server).revoke([q.public_key])
    (server.keys.deploy / "device.nk").unlink()
    ensure_nats_keys(server.keys.folder)
    assert not await refused(server, a.credential, tmp_path)
    replace_account(server)
    assert [await refused(server, one.credential, tmp_path) for one in (a, q)] == [True, True]
    assert not await refused(server, of(server).mint("A", "nats").credential, tmp_path)
    await provision_server(server)


async def test_the_services_key_made_anew_ends_the_services_credentials(
    server: NatsServer, tmp_path: Path
) -> None:
    """Rotation of what all services share: the old file is worth nothing, the new one is accepted, devices stay."""
    a = of(server).mint("A", "nats")
    old = parse_credentials(server.keys.service_credentials.read_text())
    (server.keys.folder / "root" / "services.nk").unlink()
    ensure_nats_keys(server.keys.folder)
    assert (
        decode(parse_credentials(server.keys.service_credentials.read_text())[0])["iss"]
        != decode(old[0])["iss"]
    )
    replace_account(server)
    assert await refused_nats(server, *old, tmp_path)
    assert not await refused(server, a.credential, tmp_path)
    await provision_server(server)


async def test_everything_that_deploy_holds_made_anew(server: NatsServer, tmp_path: Path) -> None:
    """After a leak of its folder nothing that it held is of use, and the streams are still there."""
    a, stolen = of(server).mint("A", "nats"), of(server)
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
    with pytest.raises(AccountRefusedError, match="another operator key"):
        await stolen.revoke([])
    await of(server).revoke([a.public_key])
    assert not await refused(server, of(server).mint("A", "nats").credential, tmp_path)
    client = await nats.connect(**connect_options(server.settings))
    assert await client.jetstream().stream_info("TELEMETRY")
    await client.close()


def test_a_folder_without_a_key_is_named(tmp_path: Path) -> None:
    """The service says at its start which file is missing."""
    with pytest.raises(FileNotFoundError, match=r"account\.json"):
        DeviceCredentials(tmp_path, "nats://127.0.0.1:1")
