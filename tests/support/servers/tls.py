"""Certificates of a CA that is made for a test, and a proxy that speaks TLS in front of a server that does not."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import trustme

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
"""What a client of PostgreSQL sends first to ask for TLS."""
_BLOCK: Final = 65536


@dataclass(frozen=True)
class Certificates:
    """The files of a CA and of what it issued; a PEM file with a certificate holds its key too."""

    ca: Path
    server: Path
    """For 127.0.0.1."""
    elsewhere: Path
    """For a server of another name."""
    client: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make a CA and its certificates in the folder."""
        folder.mkdir(parents=True)
        ca = trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        names = {"server": "127.0.0.1", "elsewhere": "elsewhere.example.org", "client": "k1@example.org"}
        files = {name: folder / f"{name}.pem" for name in names}
        for name, identity in names.items():
            ca.issue_cert(identity).private_key_and_cert_chain_pem.write_to_path(files[name])
        return cls(ca=folder / "ca.pem", **files)

    def server_context(self, certificate: Path, *, clients: bool = False) -> ssl.SSLContext:
        """Return the context of a server; with `clients` it asks for a certificate of the CA."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(certificate)
        context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
        return context


@asynccontextmanager
async def tls_proxy(
    connect: Callable[[], Awaitable[Connection]], context: ssl.SSLContext, *, postgres: bool = False
) -> AsyncGenerator[int]:
    """Run a proxy and yield its port; `connect` opens a plain connection to the server behind it.

    `postgres`: TLS begins after the request of PostgreSQL's protocol, without which the connection ends.
    """
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            handlers.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if not postgres or await _begin_tls(reader, writer, context):
                server_reader, server_writer = await connect()
                await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=None if postgres else context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


async def _begin_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
) -> bool:
    """Return whether the client asked for TLS, which then has begun."""
    if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
        return False
    writer.write(b"S")
    await writer.start_tls(context)
    return True


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_BLOCK):
            writer.write(data)
            await writer.drain()
    writer.close()
