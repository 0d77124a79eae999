"""Makes the options of every connection to NATS: servers, credentials and TLS."""

import base64
import logging
import ssl
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

import nats
from nats.aio.client import Client
from typing_extensions import override

from k1_platform.auth.jwt import KeyPair, NatsTokenError, parse_credentials
from k1_platform.auth.tls import client_context, show_certificate
from k1_platform.settings import NatsSettings


def _is_useful(record: logging.LogRecord) -> bool:
    """Return False for a warning of asyncio that says nothing: nats-py causes it at the end of each TLS connection."""
    return not record.getMessage().startswith("returning true from eof_received()")


logging.getLogger("asyncio").addFilter(_is_useful)


class CredentialsFileError(OSError):
    """The file of credentials is missing or holds no credentials.

    It is an OSError because nats-py reconnects after an OSError: a file that is being replaced must not end the client.
    """


class PlainConnectionError(OSError):
    """The server offered no TLS, although the URL asks for it, so it gets no credentials."""


class ConnectOptions(TypedDict):
    """Keyword arguments for `nats.connect`."""

    servers: list[str]
    user_jwt_cb: Callable[[], bytes] | None
    signature_cb: Callable[[str], bytes] | None
    tls: ssl.SSLContext | None
    tls_handshake_first: bool


def connect_options(settings: NatsSettings) -> ConnectOptions:
    """Return servers, TLS and, if a file is set, credentials. The file is read again at every connection.

    Raises:
        CredentialsFileError, PlainConnectionError: later, when the client connects.
        OSError: the certificate of the CA or of the client cannot be read.
    """
    servers, file = settings.url.split(","), settings.creds
    secure = any(server.startswith("tls://") for server in servers)
    tls = client_context(settings.ca) if secure else None
    if tls is not None and settings.cert is not None and settings.key is not None:
        show_certificate(tls, settings.cert, settings.key)
    options = ConnectOptions(
        servers=servers,
        user_jwt_cb=None,
        signature_cb=None,
        tls=tls,
        tls_handshake_first=tls is not None and settings.tls_first,
    )
    if file is None:
        return options
    encrypted = None if tls is None else _note_handshakes(tls)

    def token() -> bytes:
        return _read(file)[0].encode()

    def sign(nonce: str) -> bytes:
        if encrypted is not None:
            # nats-py follows the server's greeting, in which anybody on the way can deny TLS.
            if not encrypted.is_set():
                raise PlainConnectionError(f"{settings.url} asks for TLS, which the server does not offer")
            encrypted.clear()
        return base64.b64encode(_read(file)[1].sign(nonce.encode()))

    options.update(user_jwt_cb=token, signature_cb=sign)
    return options


def _note_handshakes(context: ssl.SSLContext) -> threading.Event:
    """Return an event that is set whenever a connection has completed its handshake with this context."""
    completed = threading.Event()

    class _Connection(ssl.SSLObject):
        @override
        def do_handshake(self) -> None:
            super().do_handshake()
            completed.set()

    context.sslobject_class = _Connection
    return completed


@asynccontextmanager
async def one_shot_connection(settings: NatsSettings, timeout_s: int) -> AsyncGenerator[Client]:
    """Open a connection for a few requests. It is tried once and does not reconnect.

    Raises:
        OSError, nats.errors.Error: the server does not respond or refuses the credentials.
    """
    client = await nats.connect(
        **connect_options(settings),
        connect_timeout=timeout_s,
        allow_reconnect=False,
        max_reconnect_attempts=1,  # also counts the attempts of the first connection, by default for minutes
        reconnect_time_wait=0,
        error_cb=_ignore,
    )
    try:
        yield client
    finally:
        await client.close()


async def _ignore(_: Exception) -> None:
    """Ignore the error: the caller gets it as an exception, and nats-py would log it as well."""


def _read(file: Path) -> tuple[str, KeyPair]:
    """Return the token and the key of a `.creds` file."""
    try:
        return parse_credentials(file.read_text())
    except (OSError, NatsTokenError) as error:
        raise CredentialsFileError(f"{file} holds no credentials for NATS: {error}") from error
