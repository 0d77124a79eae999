"""How every connection to NATS is made: where the servers are and who we are."""

import base64
import logging
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict

import nats
from nats.aio.client import Client

from k1_platform.auth.jwt import KeyPair, NatsTokenError, parse_credentials
from k1_platform.auth.tls import client_context
from k1_platform.settings import NatsSettings


def _is_of_use(record: logging.LogRecord) -> bool:
    """Whether asyncio's line says anything: nats-py moves to TLS in a way that makes it complain at each end."""
    return not record.getMessage().startswith("returning true from eof_received()")


logging.getLogger("asyncio").addFilter(_is_of_use)


class CredentialsFileError(OSError):
    """The file of credentials is absent or holds none.

    An OSError, because the client tries again after one: a file that is just being replaced must not end it.
    """


class ConnectOptions(TypedDict):
    """Keyword arguments for `nats.connect`."""

    servers: list[str]
    user_jwt_cb: Callable[[], bytes] | None
    signature_cb: Callable[[str], bytes] | None
    tls: ssl.SSLContext | None


def connect_options(settings: NatsSettings) -> ConnectOptions:
    """Servers and, where there is a file of them, credentials; the file is read at every connection anew.

    Raises:
        CredentialsFileError: when connecting, not here.
        OSError: the CA's certificate cannot be read.
    """
    servers, file = settings.url.split(","), settings.creds
    secure = any(server.startswith("tls://") for server in servers)
    tls = client_context(settings.ca) if secure else None
    if file is None:
        return ConnectOptions(servers=servers, user_jwt_cb=None, signature_cb=None, tls=tls)

    def token() -> bytes:
        return _read(file)[0].encode()

    def sign(nonce: str) -> bytes:
        return base64.b64encode(_read(file)[1].sign(nonce.encode()))

    return ConnectOptions(servers=servers, user_jwt_cb=token, signature_cb=sign, tls=tls)


@asynccontextmanager
async def one_shot_connection(settings: NatsSettings, timeout_s: int) -> AsyncGenerator[Client]:
    """A connection for an errand: it is tried once, and not made again when it breaks.

    Raises:
        OSError, nats.errors.Error: the server does not answer or does not know us.
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
    """What goes wrong reaches the caller as an exception; nats-py would log it as well."""


def _read(file: Path) -> tuple[str, KeyPair]:
    try:
        return parse_credentials(file.read_text())
    except (OSError, NatsTokenError) as error:
        raise CredentialsFileError(f"{file} gives no credentials for NATS: {error}") from error
