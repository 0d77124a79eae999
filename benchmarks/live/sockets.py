"""Many small WebSocket clients in one process: they open, count what they get, and note when it came."""

import asyncio
import base64
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

_READING = re.compile(rb'"drift_ms":([0-9]+)')
_PING, _PONG = b"\x89\x00", b"\x8a\x80mask"
"""Both without a body; a client's frames are masked."""
_AT_ONCE = 50


@dataclass(slots=True)
class SocketClient(asyncio.Protocol):
    """One client. It does not parse frames: those of the gateway are short and hold one reading each."""

    request: bytes
    on_reading: Callable[[int, float], None]
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    is_open: bool = False
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Note the readings."""
        now = time.perf_counter()
        if not self.is_open:
            self.is_open = data.startswith(b"HTTP/1.1 101")
            if not self.is_open:
                print(data[:300])
            self.opened.set()
        if self.transport is not None and data.count(_PING):
            self.transport.write(_PONG)
        for found in _READING.findall(data):
            self.on_reading(int(found), now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the name of the base class
        """Note that it is gone."""
        self.is_open = False
        self.opened.set()


async def open_clients(
    host: str, port: int, topics: list[str], on_reading: Callable[[int, float], None]
) -> list[SocketClient]:
    """Open a client for each topic."""
    loop, places = asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE)

    async def open_one(topic: str) -> SocketClient:
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET /api/v1/ws?topics={topic} HTTP/1.1\r\nHost: localhost:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: k1.json\r\n\r\n"
        )
        async with places:
            client = SocketClient(head.encode(), on_reading)
            await loop.create_connection(lambda: client, host, port)
            await client.opened.wait()
            assert client.is_open, "the gateway refused a connection"
        return client

    return list(await asyncio.gather(*map(open_one, topics)))
