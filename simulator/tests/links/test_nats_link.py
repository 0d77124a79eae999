"""Tests that the link notices every end of a NATS connection, which the client leaves to its user."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlparse

from k1_platform.settings import NatsSettings
from k1_simulator.links.nats_link import nats_link
from tests.support.infrastructure import Infrastructure


class Wire:
    """A proxy between a client and the server; it can be cut like a machine that loses its power."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._near: list[asyncio.StreamWriter] = []

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        self._near.append(writer)
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        with suppress(OSError):
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        far_writer.close()

    def cut(self) -> None:
        """Reset every connection: what was under way is lost."""
        for writer in self._near:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def wire_to(settings: NatsSettings) -> AsyncIterator[tuple[Wire, NatsSettings]]:
    address = urlparse(settings.url)
    assert address.hostname
    assert address.port
    wire = Wire(address.hostname, address.port)
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield wire, settings.model_copy(update={"url": f"nats://127.0.0.1:{port}"})


async def test_a_connection_that_is_cut_while_sending_is_closed(
    provisioned: Infrastructure, unique: str
) -> None:
    """However much data is pending, the session is closed, so the device reconnects."""

    async def received(_word: str, _body: bytes, _reply_to: str | None) -> None:
        raise AssertionError("no command is expected")

    async with wire_to(NatsSettings.of(provisioned.environment)) as (wire, settings):
        session = await nats_link(f"sim-{unique}", settings, None)(received)

        async def flood() -> None:
            while True:
                for _ in range(3):
                    await session.publish(f"device.sim-{unique}.log", b"x" * 60_000)
                await asyncio.sleep(0)

        flooding = asyncio.create_task(flood())
        for _ in range(5):
            await asyncio.sleep(0)
        wire.cut()
        async with asyncio.timeout(60):
            await session.wait_closed()
        flooding.cancel()
        await session.close()
