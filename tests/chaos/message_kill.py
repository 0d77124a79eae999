"""Kills a process at the moment at which a message is published."""

import asyncio
import threading

from tests.support.bus import connected_client
from tests.support.system import System
from tests.support.waiting import PATIENCE_S


def kill_on_message(system: System, subject: str, name: str, subscribed: threading.Event) -> None:
    """Kill a server or service when a message is published on a subject; set `subscribed` once that is awaited."""

    async def wait() -> None:
        async with connected_client(system.stack.bus) as client:
            published = asyncio.Event()

            async def receive(_: object) -> None:
                published.set()

            await client.subscribe(subject, cb=receive)
            await client.flush(timeout=60)
            subscribed.set()
            await asyncio.wait_for(published.wait(), PATIENCE_S)
            system.kill(name)

    asyncio.run(wait())
