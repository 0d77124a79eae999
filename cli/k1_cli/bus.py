"""A connection to the running stack's NATS, for commands."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from k1_cli.errors import CommandError
from k1_platform.nats_connection import connect_options
from k1_platform.settings import NatsSettings

_TIMEOUT_SECONDS = 3


@asynccontextmanager
async def connect_bus(settings: NatsSettings) -> AsyncGenerator[JetStreamContext]:
    """JetStream while the block runs.

    Raises:
        CommandError: the server does not answer, at the start or within the block.
    """
    try:
        client = await nats.connect(
            **connect_options(settings),
            connect_timeout=_TIMEOUT_SECONDS,
            allow_reconnect=False,
            error_cb=_ignore,
        )
        try:
            yield client.jetstream(timeout=_TIMEOUT_SECONDS)
        finally:
            await client.close()
    except (OSError, NatsError) as error:
        raise CommandError(
            f"the NATS server of this stack does not answer ({type(error).__name__})"
        ) from error


async def _ignore(_: Exception) -> None:
    """What goes wrong reaches the caller as an exception; nats-py would log it as well."""
