"""What a device may do on the bus, tried on a real server over NATS and MQTT: its own subjects and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.embedded.home import Home
from k1_cli.embedded.nats import NatsServer
from k1_contracts.devices import Transport
from k1_deploy.credentials import DeviceCredentials
from k1_platform.device_credentials import MintedCredential
from k1_platform.nats_account import AccountRefusedError
from k1_platform.nats_connection import connect_options
from k1_platform.nats_jwt import KeyKind, KeyPair, credentials_text, parse_credentials
from k1_platform.nats_keys import ensure_nats_keys
from k1_platform.provision import provision_bus
from k1_platform.settings import NatsSettings

PATIENCE_S = 10
FOREIGN = (
    "device.B.hello", "device.B.bye", "device.B.reply", "device.B.fetch", "device.A.anything", "device.A",
    "telemetry.B", "telemetry.A.more", "command.B.activate", "command.A.activate",
    "deploy.requested", "track.uploaded", "analysis.requested", "work.analysis.p5", "live.telemetry.A",
    "rpc.deploy.device.add", "redrive.deploy-devices.device.B.hello", "dlq.EVENTS.deploy",
    "$JS.API.INFO", "$JS.API.STREAM.DELETE.EVENTS", "$JS.ACK.EVENTS.deploy.1.1.1.1.1", "$KV.presence.B",
    "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.SERVER.PING", "$MQTT.sub.anything", "_INBOX.B.1", "_INBOX.1",
)  # fmt: skip
"""Subjects that device A may not publish on."""
OVERHEARD = (
    ">", "*.>", "command.>", "command.*.activate", "command.B.>", "command.B.ping", "device.>", "device.A.hello",
    "telemetry.*", "telemetry.A", "rpc.>", "live.>", "deploy.*", "_INBOX.>", "_INBOX.B.>", "$SYS.>", "$JS.>",
    "$JS.EVENT.>", "$KV.>", "$MQTT.>", "$MQTT.sub.>",
)  # fmt: skip
"""Subjects that device A may not subscribe to."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def credentials(server: NatsServer) -> DeviceCredentials:
    return DeviceCredentials(server.keys.deploy, server.url)


@pytest.fixture
async def services(server: NatsServer) -> AsyncIterator[Client]:
    """A connection as the services have it."""
    client = await nats.connect(**connect_options(server.settings))
    yield client
    await client.close()
