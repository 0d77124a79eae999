"""Devices' connections to a real server, for tests of what they may."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from k1_cli.embedded.nats import NatsServer
from k1_contracts.messages.devices import DeviceCredential
from k1_deploy.devices.credentials import DeviceCredentials
from k1_platform.nats_connection import connect_options
from k1_platform.nats_jwt import KeyPair, credentials_text
from k1_platform.provision import provision_bus
from k1_platform.settings import NatsSettings

PATIENCE_S = 60
"""Only ends a hung test."""


async def provision_server(server: NatsServer) -> None:
    client = await nats.connect(**connect_options(server.settings))
    await provision_bus(client.jetstream(timeout=PATIENCE_S))
    await client.close()


def of(server: NatsServer) -> DeviceCredentials:
    return DeviceCredentials(server.keys.deploy, server.url)


@dataclass
class Link:
    """A device's connection over NATS and what it was told."""

    client: Client
    errors: list[str] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def over_nats(server: NatsServer, credential: DeviceCredential, folder: Path) -> AsyncIterator[Link]:
    """Connect as a device does, which reconnects for ever."""
    file = folder / f"{credential.device_id}.creds"
    file.write_text(credential.secret)
    link = Link(Client())

    async def on_error(error: Exception) -> None:
        link.errors.append(str(error))

    async def on_closed() -> None:
        link.closed.set()

    await link.client.connect(
        **connect_options(NatsSettings(url=server.url, creds=file)),
        inbox_prefix=f"_INBOX.{credential.device_id}".encode(),
        error_cb=on_error,
        closed_cb=on_closed,
        connect_timeout=PATIENCE_S,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.05,
    )
    try:
        yield link
    finally:
        await link.client.close()


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


async def until(condition: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never: {what}") from None


async def refused_nats(server: NatsServer, token: str, user: KeyPair, folder: Path) -> bool:
    """Whether the NATS port refuses this token with this key's signature."""
    file = folder / "tried.creds"
    file.write_text(credentials_text(token, user))
    try:
        client = await nats.connect(
            **connect_options(NatsSettings(url=server.url, creds=file)),
            allow_reconnect=False,
            connect_timeout=PATIENCE_S,
            error_cb=ignore,
        )
    except NatsError as error:
        if "Authorization Violation" not in str(error):
            raise
        return True
    await client.close()
    return False


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


async def settle(client: Client) -> None:
    """Until the server has all that was sent: nats-py's flush may overtake what waits, so only a second one proves it."""
    await client.flush()
    await client.flush()
