"""The clients of the platform and the services that can use TLS, each with a server to talk to."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP
from opentelemetry import trace
from pydantic import SecretStr

from k1_accounts.mail.sender import smtp_transport
from k1_accounts.settings import AccountsSettings, Security
from k1_catalogue.maps.store import MapStore
from k1_platform.errors import TransientError
from k1_platform.observability.tracing import configure_tracing
from k1_platform.postgres.pool import TRANSIENT_ERRORS, open_pool
from k1_platform.settings import MongoSettings, ObjectStoreSettings, ObservabilitySettings, PostgresSettings
from k1_platform.storage.objects import ObjectStore
from tests.support.servers.tls import Connection
from tests.support.waiting import PATIENCE_S

Connect = Callable[[], Awaitable[Connection]]
"""Opens a plain connection to a server."""
ERRORS: Final = (OSError, TransientError, aiosmtplib.SMTPException, *TRANSIENT_ERRORS)
"""What the clients raise when they refuse a server, or are refused."""


@dataclass(frozen=True)
class Trust:
    """What a client is given: the CA that it trusts, or None for plain text, and a certificate to show."""

    ca: Path | None
    certificate: Path | None = None


def address(url: str) -> Connect:
    """Return how to connect to the server of a URL, whose host may be a socket file."""
    place = unquote(urlsplit(url).netloc.rpartition("@")[2])
    if place.startswith("/"):
        return partial(asyncio.open_unix_connection, place)
    host, _, port = place.partition(":")
    return partial(asyncio.open_connection, host, int(port))


class Client(Protocol):
    """One of the clients: the server that it talks to, without TLS, and a connection to it through a proxy."""

    mutual: ClassVar[bool]
    """Whether it can show a certificate."""

    def server(self) -> AbstractAsyncContextManager[Connect]:
        """Run the server, or find it; yield how to connect to it."""
        ...

    async def use(self, port: int, trust: Trust) -> None:
        """Send one request through the proxy at a port; raise one of ERRORS if that fails."""
        ...


class Postgres:
    """The pool of a service."""

    mutual: ClassVar[bool] = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._dsn = environment["K1_POSTGRES_DSN"]

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Connect]:
        yield address(self._dsn)

    async def use(self, port: int, trust: Trust) -> None:
        parts = urlsplit(self._dsn)
        options = f"sslmode=verify-full&sslrootcert={trust.ca}" if trust.ca else "sslmode=disable"
        if trust.certificate:
            options += f"&sslcert={trust.certificate}&sslkey={trust.certificate}"
        place = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
        dsn = parts._replace(netloc=place, query=options).geturl()
        pool = await open_pool(PostgresSettings(dsn=SecretStr(dsn)), "test")
        assert await pool.fetchval("SELECT 1") == 1
        await pool.close()


class Mongo:
    """The catalogue's store of maps."""

    mutual: ClassVar[bool] = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._url = environment["K1_MONGO_URL"]

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Connect]:
        yield address(self._url)

    async def use(self, port: int, trust: Trust) -> None:
        user = f"{found}@" if (found := urlsplit(self._url).netloc.rpartition("@")[0]) else ""
        url = f"mongodb://{user}127.0.0.1:{port}/?directConnection=true"
        if trust.ca:
            url += f"&tls=true&tlsCAFile={trust.ca}"
        if trust.certificate:
            url += f"&tlsCertificateKeyFile={trust.certificate}"
        store = MapStore.connect(MongoSettings(url=SecretStr(url)))
        try:
            await store.check()
        finally:
            await asyncio.to_thread(store.close)  # it waits for an answer, which the proxy here passes on


class Objects:
    """The object store."""

    mutual: ClassVar[bool] = False

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._url = environment["K1_S3_URL"]

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Connect]:
        yield address(self._url)

    async def use(self, port: int, trust: Trust) -> None:
        scheme = "https" if trust.ca else "http"
        store = ObjectStore(ObjectStoreSettings(url=f"{scheme}://127.0.0.1:{port}", ca=trust.ca))
        try:
            await store.check()
        finally:
            store.close()


class Mail:
    """The transport of accounts to the mail server."""

    mutual: ClassVar[bool] = False

    def __init__(self, _environment: Mapping[str, str], security: Security = "tls") -> None:
        self._security: Security = security

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Connect]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(Sink()), "127.0.0.1", 0)
        yield partial(asyncio.open_connection, *server.sockets[0].getsockname())
        server.close()

    async def use(self, port: int, trust: Trust) -> None:
        settings = AccountsSettings(
            smtp_host="127.0.0.1",
            smtp_port=port,
            smtp_security=self._security if trust.ca else "none",
            smtp_ca=trust.ca,
        )
        send = smtp_transport(settings)
        assert send is not None
        message = EmailMessage()
        message["From"], message["To"] = "k1@localhost", "ada@example.org"
        async with asyncio.timeout(PATIENCE_S):
            await send(message)


class Traces:
    """The exporter of traces."""

    mutual: ClassVar[bool] = True

    def __init__(self, _environment: Mapping[str, str]) -> None:
        self._received = 0

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Connect]:
        server = await asyncio.start_server(self._receive, "127.0.0.1", 0)
        yield partial(asyncio.open_connection, *server.sockets[0].getsockname())
        server.close()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        self._received += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def use(self, port: int, trust: Trust) -> None:
        before = self._received
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trace, "set_tracer_provider", lambda _: None)
            endpoint = f"{'https' if trust.ca else 'http'}://127.0.0.1:{port}"
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            patch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
            if trust.ca:
                patch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(trust.ca))
            if trust.certificate:
                patch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", str(trust.certificate))
                patch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", str(trust.certificate))
            provider = configure_tracing("test", "0", ObservabilitySettings())
        provider.get_tracer("test").start_span("test").end()
        await asyncio.to_thread(provider.shutdown)
        if self._received == before:
            raise ConnectionError("no span arrived")


class Sink:
    """The handler of a mail server that keeps nothing."""

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        return "250 OK"


CLIENTS: Final[Mapping[str, Callable[[Mapping[str, str]], Client]]] = {
    "postgres": Postgres,
    "mongodb": Mongo,
    "s3": Objects,
    "smtp": Mail,
    "otlp": Traces,
}
"""How to make each client for the servers of an environment."""
