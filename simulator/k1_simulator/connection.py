"""The connection of a device: made again whenever it is lost, begun with a hello, ended with a bye."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from k1_contracts import subjects
from k1_contracts.devices import DeviceBye, FetchChunk
from k1_simulator.link import Heard, LinkError, Open, Session
from k1_simulator.world import World

_log = logging.getLogger(__name__)


class Connection:
    """Of one device, from its start on."""

    def __init__(
        self, device_id: str, open_link: Open, world: World, rng: random.Random, *, hello: Callable[[], bytes]
    ) -> None:
        """`hello` gives what is said at every connection."""
        self.online = asyncio.Event()
        """The hello is said."""
        self.trouble: str | None = None
        """Why it is not online."""
        self._id = device_id
        self._open_link = open_link
        self._world = world
        self._rng = rng
        self._hello = hello
        self._session: Session | None = None
        self._ending = False
        self._allowed = asyncio.Event()

    async def stay(self, heard: Heard, greeted: Callable[[], Awaitable[None]]) -> None:
        """Connect, again and again; `heard` gets the commands, `greeted` is called after every hello."""

        async def heard_online(word: str, body: bytes, reply_to: str | None) -> None:
            await self.online.wait()  # a command may overtake the hello
            await heard(word, body, reply_to)

        while not self._ending:
            await self._allowed.wait()
            try:
                async with self._world.connecting:
                    session = await self._open_link(heard_online)
            except LinkError as error:
                self.trouble = str(error)
            else:
                await self._use(session, greeted)
            await asyncio.sleep(self._world.habits.reconnect_s * self._rng.uniform(0.5, 1.5))

    async def _use(self, session: Session, greeted: Callable[[], Awaitable[None]]) -> None:
        if self._ending:
            await session.cut()
            return
        self._session, self.trouble = session, None
        await session.say(subjects.device(self._id, "hello"), self._hello())
        self.online.set()
        self._world.journal.note(self._id, "online")
        await greeted()
        await session.ended()
        self._lost()
        await session.close()

    async def say(self, subject: str, body: bytes) -> None:
        """Publish; without a connection it is lost."""
        if self._session is not None:
            await self._session.say(subject, body)

    async def ask_chunk(self, request: FetchChunk) -> bytes:
        """A part of a bundle; raises LinkError."""
        if self._session is None:
            raise LinkError("not connected")
        return await self._session.ask_chunk(request)

    def allow_after(self, seconds: float) -> None:
        """Do not connect before so many seconds are over."""
        self._allowed.clear()
        asyncio.get_running_loop().call_later(seconds, self._allowed.set)

    def allow(self) -> None:
        """Connect from now on."""
        self._allowed.set()

    async def cut(self, away_s: float) -> None:
        """Lose the connection without a word, and have none for so many seconds."""
        self.allow_after(away_s)
        if self._session is not None:
            await self._session.cut()

    def begin_end(self) -> None:
        """No further connection is used."""
        self._ending = True

    async def end(self, *, bye: bool) -> None:
        """With `bye` in good order, else as a power cut does; `stay` must have ended."""
        session = self._session
        if session is None:
            return
        if bye:
            await session.say(subjects.device(self._id, "bye"), DeviceBye(id=self._id).to_json())
            await session.close()
        else:
            await session.cut()
        self._lost()

    def _lost(self) -> None:
        self._session = None
        self.online.clear()
        self._world.journal.note(self._id, "offline")
