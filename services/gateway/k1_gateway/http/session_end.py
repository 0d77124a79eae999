"""Ends long responses when their reader may not read on: the token expired, or access was revoked; or the service stops."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from aiohttp import web

from k1_gateway.access.gate import Gate
from k1_gateway.access.identity import Identity
from k1_platform.processes.tasks import cancel_tasks

Reason = Literal["stopping", "expired", "revoked"]


@dataclass(slots=True)
class SessionEnd:
    """The end of the time for which a stream may run."""

    reason: Reason | None = None
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, reason: Reason) -> None:
        """End the stream; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._event.set()

    @property
    def is_signed_out(self) -> bool:
        """Return whether the reader has to sign in again, or refresh the token, to read on."""
        return self.reason in {"expired", "revoked"}

    async def wait(self) -> None:
        """Wait for the end."""
        await self._event.wait()

    def is_set(self) -> bool:
        """Return whether it has come."""
        return self._event.is_set()


SESSION_END: Final = web.RequestKey("session_end", SessionEnd)
"""The key of a request to the end of its session; streams wait for it beside their data."""


@asynccontextmanager
async def session_end(
    gate: Gate, identity: Identity | None, stopping: asyncio.Event
) -> AsyncGenerator[SessionEnd]:
    """Watch the session of an identity while the block runs; without one only the stop of the service."""
    end = SessionEnd()

    async def wait_for_stop() -> None:
        await stopping.wait()
        end.set("stopping")

    task = asyncio.create_task(wait_for_stop())
    timer: asyncio.TimerHandle | None = None
    if identity is not None and identity.expires_at_s is not None:
        left_s = max(0.0, identity.expires_at_s - time.time())
        timer = asyncio.get_running_loop().call_later(left_s, end.set, "expired")
    try:
        if identity is None:
            yield end
        else:
            with gate.watching(identity, lambda: end.set("revoked")):
                yield end
    finally:
        if timer is not None:
            timer.cancel()
        await cancel_tasks([task])
