"""A small HTTP/1.1 client with one connection for each user, which costs the machine little.

It shares the cores with what it measures: aiohttp's client takes about four times its CPU time for each request. It
reads bodies of a known length only, which every response of the scenario has.
"""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_END: Final = b"\r\n\r\n"


class ClientError(Exception):
    """The connection ended before the response did."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of a response."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.received = bytearray()
        self.waiting: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(_END)
        if head < 0:
            return
        found = _LENGTH.search(self.received, 0, head + 2)
        end = head + len(_END) + (int(found[1]) if found else 0)
        if len(self.received) < end:
            return
        reply = Reply(int(self.received[9:12]), bytes(self.received[head + len(_END) : end]))
        del self.received[:end]
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.received.clear()
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(ClientError(f"the connection ended: {exc!r}"))

    @property
    def is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()


@dataclass(slots=True)
class Client:
    """One user of one gateway. Requests of one user wait for each other, as in one connection of HTTP/1.1."""

    url: str
    key: str
    _connection: _Connection | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, path: str) -> Reply:
        """Send a GET request and return the response."""
        return await self._send(b"GET", path, b"", b"")

    async def post(self, path: str, body: bytes, media_type: str) -> Reply:
        """Send a POST request and return the response."""
        head = b"Content-Type: %b\r\nContent-Length: %d\r\n" % (media_type.encode(), len(body))
        return await self._send(b"POST", path, head, body)

    def copy(self) -> "Client":
        """Return a client of the same user with a connection of its own."""
        return Client(self.url, self.key)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.close()

    async def _send(self, method: bytes, path: str, head: bytes, body: bytes) -> Reply:
        address = urlsplit(self.url)
        request = (
            method
            + f" /api/v1{path} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {self.key}\r\n".encode()
            + head
            + b"\r\n"
            + body
        )
        async with self._turn:
            loop = asyncio.get_running_loop()
            if self._connection is None or not self._connection.is_open:
                host, port = address.hostname or "", address.port or 80
                _, self._connection = await loop.create_connection(_Connection, host, port)
            connection = self._connection
            assert connection.transport is not None
            connection.waiting = loop.create_future()
            connection.transport.write(request)
            return await connection.waiting
