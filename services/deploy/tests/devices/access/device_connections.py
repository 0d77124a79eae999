"""Connections of devices to a real server, for tests of their permissions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from nats.aio.client import Client
from nats.errors import Error as NatsError

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_deploy.devices.access.credential_issuer import NatsCredentialIssuer
from k1_platform.auth.jwt import KeyPair, credentials_text
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client
from tests.support.waiting import PATIENCE_S


def issuer_for(server: NatsServer) -> NatsCredentialIssuer:
    return NatsCredentialIssuer(server.keys.deploy, server.url)


@dataclass
class DeviceConnection:
    """A device's connection over NATS, with the errors that the server sent."""

    client: Client
    errors: list[str]
    closed: asyncio.Event


@asynccontextmanager
async def over_nats(
    server: NatsServer, credential: DeviceCredential, folder: Path
) -> AsyncIterator[DeviceConnection]:
    """Connect as a device does, which reconnects forever."""
    file = folder / f"{credential.device_id}.creds"
    file.write_text(credential.secret)
    errors: list[str] = []
    closed = asyncio.Event()

    async def on_error(error: Exception) -> None:
        errors.append(str(error))

    async def on_closed() -> None:
        closed.set()

    async with connected_client(
        NatsSettings(url=server.url, creds=file),
        inbox_prefix=f"_INBOX.{credential.device_id}".encode(),
        error_cb=on_error,
        closed_cb=on_closed,
        connect_timeout=PATIENCE_S,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
    ) as client:
        yield DeviceConnection(client, errors, closed)


def over_mqtt(
    server: NatsServer,
    credential: DeviceCredential,
    identifier: str | None = None,
    will: aiomqtt.Will | None = None,
) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", server.port_named("mqtt"), username=credential.user, password=credential.secret,
        identifier=identifier, will=will, timeout=PATIENCE_S,
    )  # fmt: skip


async def refused_nats(server: NatsServer, token: str, user: KeyPair, folder: Path) -> bool:
    """Return whether the NATS port refuses this token with this key's signature."""
    file = folder / "tried.creds"
    file.write_text(credentials_text(token, user))
    try:
        async with connected_client(
            NatsSettings(url=server.url, creds=file),
            allow_reconnect=False,
            connect_timeout=PATIENCE_S,
            error_cb=ignore,
        ):
            return False
    except NatsError as error:
        if "Authorization Violation" not in str(error):
            raise
        return True


async def ignore(_: Exception) -> None:
    """nats-py logs errors that have no listener."""


async def refused_mqtt(server: NatsServer, credential: DeviceCredential) -> bool:
    try:
        async with over_mqtt(server, credential):
            return False
    except aiomqtt.MqttError as error:
        if "Not authorized" not in str(error):
            raise
        return True
