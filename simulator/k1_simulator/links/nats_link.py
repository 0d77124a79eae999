"""Connects a device over NATS."""

import asyncio
import base64
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, UnexpectedEOF

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import FetchChunk
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_platform.auth.jwt import parse_credentials
from k1_platform.nats.bus.connection import connect_options
from k1_platform.processes.tasks import is_set_within
from k1_platform.settings import NatsSettings
from k1_simulator.links.link import (
    CHUNK_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    CommandHandler,
    LinkError,
    LinkSession,
    OpenLink,
)

_log = logging.getLogger(__name__)
_PING_S = 10
_CLOSE_S = 1.0
_LOOK_S = 1.0


def nats_link(device_id: str, settings: NatsSettings, credential: DeviceCredential | None) -> OpenLink:
    """Return a function that connects as the device; without a credential it uses `settings`."""
    options: dict[str, Any] = {**connect_options(settings)}
    if credential is not None:
        options |= _identity(credential)

    async def opened(handle: CommandHandler) -> LinkSession:
        session = _NatsSession(device_id)
        try:
            await session.connect(options, handle)
        except (OSError, NatsError, TimeoutError) as error:
            await session.close()
            reason = session.trouble or error
            raise LinkError(f"NATS: {type(reason).__name__} {reason}") from error
        except asyncio.CancelledError:
            await session.close()
            raise
        return session

    return opened


def _identity(credential: DeviceCredential) -> dict[str, Callable[..., bytes]]:
    token, key = parse_credentials(credential.secret)

    def sign(nonce: str) -> bytes:
        return base64.b64encode(key.sign(nonce.encode()))

    return {"user_jwt_cb": token.encode, "signature_cb": sign}


class _NatsSession:
    """One NATS connection. It does not reconnect, because a device must say hello after each connection."""

    def __init__(self, device_id: str) -> None:
        self._id = device_id
        self._client = Client()
        self._ended = asyncio.Event()
        self.trouble: Exception | None = None
        """The last error; the client itself reports only that no server is left."""

    async def connect(self, options: dict[str, Any], handle: CommandHandler) -> None:
        await self._client.connect(
            **options,
            name=self._id,
            inbox_prefix=f"_INBOX.{self._id}",
            allow_reconnect=False,
            max_reconnect_attempts=1,  # the client counts the first connection as well
            reconnect_time_wait=0,
            connect_timeout=CONNECT_TIMEOUT_S,
            ping_interval=_PING_S,
            error_cb=self._failed,
            closed_cb=self._closed,
        )

        async def on_message(message: Msg) -> None:
            await handle(message.subject.rpartition(".")[2], message.data, message.reply or None)

        await self._client.subscribe(subjects.command(self._id, ">"), cb=on_message)
        # A subscriber of the hello may send a command at once, so the server must have the subscription by then.
        # The first flush of this client overtakes pending data, the second one does not.
        await self._client.flush(CONNECT_TIMEOUT_S)
        await self._client.flush(CONNECT_TIMEOUT_S)

    async def publish(self, subject: str, body: bytes) -> None:
        try:
            await self._client.publish(subject, body)
        except (NatsError, OSError) as error:
            _log.debug(
                "message not sent", extra={"device": self._id, "subject": subject, "reason": repr(error)}
            )

    async def request_chunk(self, request: FetchChunk) -> bytes:
        subject = subjects.device(self._id, "fetch")
        try:
            answer = await self._client.request(subject, request.to_json(), timeout=CHUNK_TIMEOUT_S)
        except NoRespondersError as error:
            raise LinkError("nobody gives chunks over the link") from error
        except (NatsError, OSError, TimeoutError) as error:
            raise LinkError(f"no chunk over the link: {type(error).__name__}") from error
        return answer.data

    async def wait_closed(self) -> None:
        # A client that fails to flush while it closes calls no callback at its end, so poll as well.
        while self._client.is_connected:
            await is_set_within(self._ended, _LOOK_S)

    async def close(self) -> None:
        # uvloop raises a RuntimeError if pending data cannot be sent. After a rejected certificate the client waits
        # without a limit for the end of the connection.
        with suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._client.close()

    async def cut(self) -> None:
        # NATS has no last will; the device itself publishes its bye.
        await self.close()

    async def _closed(self) -> None:
        self._ended.set()

    async def _failed(self, error: Exception) -> None:
        self.trouble = error
        _log.debug("NATS", extra={"device": self._id, "reason": repr(error)})
        if self._client.is_connected and isinstance(error, OSError | UnexpectedEOF):
            await self.close()
            self._ended.set()
