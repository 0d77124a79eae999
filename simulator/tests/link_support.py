"""Names devices for the tests of links, runs a test over both transports, and records messages."""

from typing import Any

import pytest
from nats.aio.client import Client

from k1_contracts.messages.deploy.device_link import Transport
from k1_simulator.device import DeviceState

TRANSPORTS: tuple[Transport, ...] = ("nats", "mqtt")


both = pytest.mark.parametrize("transport", TRANSPORTS)


def name(unique: str) -> str:
    return f"sim-{unique}"


def active(state: DeviceState) -> str | None:
    return state.active.bundle_sha256 if state.active else None


async def listen(client: Client, subject: str) -> list[bytes]:
    """Record what is published on a subject from now on."""
    received: list[bytes] = []

    async def note(message: Any) -> None:
        received.append(message.data)

    await client.subscribe(subject, cb=note)
    await client.flush()
    return received
