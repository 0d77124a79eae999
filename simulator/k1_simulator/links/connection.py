"""Keeps a device connected: reconnects when the connection is lost, says hello and bye."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import DeviceBye, FetchChunk
from k1_simulator.fleet_context import FleetContext
from k1_simulator.links.link import CommandHandler, LinkError, LinkSession, OpenLink

_log = logging.getLogger(__name__)


class Connection:
    """The connection of one device, from its start to its end."""

    def __init__(
        self,
        device_id: str,
        open_link: OpenLink,
        context: FleetContext,
        rng: random.Random,
        *,
        hello: Callable[[], bytes],
    ) -> None:
        """Create a closed connection; `hello` returns the message for every new connection."""
        self.online = asyncio.Event()
        """Set while the hello has been said and the connection exists."""
        self.trouble: str | None = None
        """Why the device is not online."""
        self._id = device_id
        self._open_link = open_link
        self._context = context
        self._rng = rng
        self._hello = hello
        self._session: LinkSession | None = None
        self._ending = False
        self._allowed = asyncio.Event()

    async def run(self, handle: CommandHandler, on_connected: Callable[[], Awaitable[None]]) -> None:
        """Connect, and reconnect until the end; `handle` gets the commands, `on_connected` is called after each hello."""

        async def handle_when_online(verb_name: str, body: bytes, reply_to: str | None) -> None:
            await self.online.wait()  # a command may arrive before the hello
            await handle(verb_name, body, reply_to)

        while not self._ending:
            await self._allowed.wait()
            try:
                async with self._context.connection_slots:
                    session = await self._open_link(handle_when_online)
            except LinkError as error:
                self.trouble = str(error)
            else:
                await self._use(session, on_connected)
            await asyncio.sleep(self._context.behaviour.reconnect_s * self._rng.uniform(0.5, 1.5))

    async def _use(self, session: LinkSession, on_connected: Callable[[], Awaitable[None]]) -> None:
        if self._ending:
            await session.cut()
            return
        self._session, self.trouble = session, None
        await session.publish(subjects.device(self._id, "hello"), self._hello())
        self.online.set()
        self._context.event_log.record(self._id, "online")
        await on_connected()
        await session.wait_closed()
        self._lost()
        await session.close()

    async def publish(self, subject: str, body: bytes) -> None:
        """Publish a message; it is lost without a connection."""
        if self._session is not None:
            await self._session.publish(subject, body)

    async def request_chunk(self, request: FetchChunk) -> bytes:
        """Return a part of a bundle; raise LinkError if that fails."""
        if self._session is None:
            raise LinkError("not connected")
        return await self._session.request_chunk(request)

    def allow_after(self, seconds: float) -> None:
        """Prevent connecting for this many seconds."""
        self._allowed.clear()
        asyncio.get_running_loop().call_later(seconds, self._allowed.set)

    def allow(self) -> None:
        """Allow connecting from now on."""
        self._allowed.set()

    async def cut(self, away_s: float) -> None:
        """Lose the connection without a bye, and prevent reconnecting for this many seconds."""
        self.allow_after(away_s)
        if self._session is not None:
            await self._session.cut()

    def reject_new_sessions(self) -> None:
        """Use no further connection."""
        self._ending = True

    async def end(self, *, bye: bool) -> None:
        """Close the connection; say bye if `bye` is set, else like a power cut. `run` must have ended."""
        session = self._session
        if session is None:
            return
        if bye:
            await session.publish(subjects.device(self._id, "bye"), DeviceBye(id=self._id).to_json())
            await session.close()
        else:
            await session.cut()
        self._lost()

    def _lost(self) -> None:
        self._session = None
        self.online.clear()
        self._context.event_log.record(self._id, "offline")
