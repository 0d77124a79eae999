"""Defines the interface between a device and its connection, for every transport."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from k1_contracts.messages.deploy.device_link import FetchChunk

CHUNK_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10

CommandHandler = Callable[[str, bytes, str | None], Awaitable[None]]
"""Handles a command: (verb, body, reply subject)."""


class LinkError(Exception):
    """The connection cannot be made, or is lost."""


class LinkSession(Protocol):
    """One connection. Messages published on a lost connection are lost, as on a real device."""

    async def publish(self, subject: str, body: bytes) -> None:
        """Publish a message; `subject` has dots, also over MQTT."""
        ...

    async def request_chunk(self, request: FetchChunk) -> bytes:
        """Return a part of a bundle: header, newline, bytes.

        Raises:
            LinkError: no response came.
        """
        ...

    async def wait_closed(self) -> None:
        """Wait until the connection is closed."""
        ...

    async def close(self) -> None:
        """Close the connection cleanly."""
        ...

    async def cut(self) -> None:
        """Close the connection like a power cut: the server notices only that it broke."""
        ...


OpenLink = Callable[[CommandHandler], Awaitable[LinkSession]]
"""Opens a connection that receives the device's commands; raises LinkError."""
