"""Connects a device over MQTT 3.1.1: subjects have slashes, there are no reply subjects, the bye is the last will."""

import asyncio
import logging
import socket
import ssl
from urllib.parse import urlsplit

import aiomqtt

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import ChunkHeader, DeviceBye, FetchChunk
from k1_contracts.messages.deploy.devices import DeviceCredential
from k1_platform.auth.device_credentials import mqtt_client_id
from k1_simulator.links.link import (
    CHUNK_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    CommandHandler,
    LinkError,
    LinkSession,
    OpenLink,
)

_log = logging.getLogger(__name__)
_KEEPALIVE_S = 10
_DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def mqtt_link(device_id: str, url: str, credential: DeviceCredential, tls: ssl.SSLContext | None) -> OpenLink:
    """Return a function that connects as the device.

    The password is the device's token, the user name is arbitrary, and the client id comes from the token. `tls` is used
    for mqtts URLs.
    """

    async def opened(handle: CommandHandler) -> LinkSession:
        session = _MqttSession(device_id, url, credential, tls)
        try:
            await session.connect(handle)
        except (OSError, aiomqtt.MqttError, TimeoutError) as error:
            raise LinkError(f"MQTT: {type(error).__name__} {error}") from error
        return session

    return opened


class _MqttSession:
    def __init__(
        self, device_id: str, url: str, credential: DeviceCredential, tls: ssl.SSLContext | None
    ) -> None:
        self._id = device_id
        place = urlsplit(url)
        will = DeviceBye(id=device_id, reason="the connection broke off")
        self._client = aiomqtt.Client(
            place.hostname or "127.0.0.1",
            place.port or _DEFAULT_PORTS[place.scheme],
            tls_context=tls if place.scheme == "mqtts" else None,
            username=credential.user or device_id,
            password=credential.secret,
            identifier=credential.client_id or mqtt_client_id(credential.secret),
            clean_session=True,
            keepalive=_KEEPALIVE_S,
            timeout=CONNECT_TIMEOUT_S,
            will=aiomqtt.Will(_topic(subjects.device(device_id, "bye")), will.to_json()),
        )
        self._chunks: dict[str, asyncio.Future[bytes]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def connect(self, handle: CommandHandler) -> None:
        await self._client.__aenter__()
        try:
            await self._client.subscribe(_topic(subjects.command(self._id, "#")))
        except BaseException:
            await self._leave()
            raise
        self._listening = asyncio.create_task(self._listen(handle))

    async def publish(self, subject: str, body: bytes) -> None:
        try:
            await self._client.publish(_topic(subject), body)
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            _log.debug(
                "message not sent", extra={"device": self._id, "subject": subject, "reason": repr(error)}
            )

    async def request_chunk(self, request: FetchChunk) -> bytes:
        waiting = self._chunks[request.request_id] = asyncio.get_running_loop().create_future()
        try:
            await self.publish(subjects.device(self._id, "fetch"), request.to_json())
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                return await waiting
        except TimeoutError as error:
            raise LinkError(f"no chunk came over the link within {CHUNK_TIMEOUT_S:.0f} s") from error
        finally:
            self._chunks.pop(request.request_id, None)

    async def wait_closed(self) -> None:
        if self._listening is not None:
            await asyncio.wait([self._listening])

    async def close(self) -> None:
        await self._leave()

    async def cut(self) -> None:
        # The library disconnects cleanly, and then the server publishes no will; so close the socket first.
        opened = self._client._client.socket()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        if isinstance(opened, socket.socket):
            opened.shutdown(socket.SHUT_RDWR)
        await self._leave()

    async def _leave(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        try:
            await self._client.__aexit__(None, None, None)
        except (aiomqtt.MqttError, OSError) as error:
            _log.debug("the connection was already closed", extra={"device": self._id, "reason": repr(error)})

    async def _listen(self, handle: CommandHandler) -> None:
        try:
            async for message in self._client.messages:
                body = message.payload
                verb = message.topic.value.rpartition("/")[2]
                if verb == "chunk":
                    self._take_chunk(body)
                else:
                    await handle(verb, body, None)
        except aiomqtt.MqttError as error:
            _log.debug("MQTT", extra={"device": self._id, "reason": repr(error)})

    def _take_chunk(self, body: bytes) -> None:
        try:
            request_id = ChunkHeader.model_validate_json(body.partition(b"\n")[0]).request_id
        except ValueError:
            _log.warning("a chunk has no header", extra={"device": self._id})
            return
        waiting = self._chunks.get(request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(body)


def _topic(subject: str) -> str:
    return subject.replace(".", "/")
