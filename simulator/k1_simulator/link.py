"""The connection of a device, whatever it speaks."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from k1_contracts.devices import FetchChunk

CHUNK_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10

Heard = Callable[[str, bytes, str | None], Awaitable[None]]
"""(verb, body, reply subject): a command came."""


class LinkError(Exception):
    """The connection cannot be made, or is gone."""


class Session(Protocol):
    """One connection. What is said on one that is gone is lost, as it is for a device."""

    async def say(self, subject: str, body: bytes) -> None:
        """Publish; `subject` with dots, also over MQTT."""
        ...

    async def ask_chunk(self, request: FetchChunk) -> bytes:
        """A part of a bundle: header, newline, bytes.

        Raises:
            LinkError: nobody answered.
        """
        ...

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        ...

    async def close(self) -> None:
        """End it in good order."""
        ...

    async def cut(self) -> None:
        """End it as a power cut does: the other side learns of it by the broken connection alone."""
        ...


Open = Callable[[Heard], Awaitable[Session]]
"""Make a connection that listens to the device's commands; raises LinkError."""
