"""The other end of the device link, as the service deploy is one."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.devices import COMMANDS, FINAL_STATUSES, DeviceReply, Verb

PATIENCE_S = 15.0


class Commander:
    """Sends commands and keeps every answer: how it came, and what it says."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._sent = 0
        self._news = asyncio.Event()
        self.heard: list[tuple[str, DeviceReply]] = []
        """(`reply subject` or `topic`, answer)."""

    async def start(self) -> None:
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
        await self._client.subscribe(subjects.DEVICE_REPLIES, cb=self._on_topic)

    async def _on_reply(self, message: Msg) -> None:
        self._note("reply subject", message)

    async def _on_topic(self, message: Msg) -> None:
        self._note("topic", message)

    def _note(self, way: str, message: Msg) -> None:
        if message.data:  # else nobody listens there
            self.heard.append((way, DeviceReply.model_validate_json(message.data)))
            self._news.set()

    async def send(self, device_id: str, verb: Verb, command_id: str, **fields: Any) -> None:
        """Publish a command with a reply subject."""
        body = COMMANDS[verb](command_id=command_id, **fields).to_json()
        await self.send_raw(device_id, verb, body)

    async def send_raw(self, device_id: str, verb: str, body: bytes) -> None:
        self._sent += 1
        reply = f"{self._inbox}.{self._sent}"
        await self._client.publish(subjects.command(device_id, verb), body, reply=reply)

    async def answer(
        self, command_id: str, status: str | None = None, within_s: float = PATIENCE_S
    ) -> DeviceReply:
        """The newest answer to a command once it is final, or has this status."""

        def found() -> DeviceReply | None:
            answers = [reply for _, reply in self.heard if reply.command_id == command_id]
            wanted = [r for r in answers if (r.status == status if status else r.status in FINAL_STATUSES)]
            return wanted[-1] if wanted else None

        return await self.until(found, f"{command_id} is answered ({status or 'final'})", within_s)

    async def call(self, device_id: str, verb: Verb, command_id: str, **fields: Any) -> DeviceReply:
        """Send and wait for the final answer to this sending."""
        self.forget(command_id)
        await self.send(device_id, verb, command_id, **fields)
        return await self.answer(command_id)

    def forget(self, command_id: str) -> None:
        """As if nothing had been answered."""
        self.heard = [(way, reply) for way, reply in self.heard if reply.command_id != command_id]

    def statuses(self, command_id: str) -> list[tuple[str, str]]:
        """How and what was answered to a command, in order."""
        return [(way, reply.status) for way, reply in self.heard if reply.command_id == command_id]

    async def device_time(self, device_id: str) -> tuple[float, float]:
        """(device clock in ms, host's monotonic clock in s) at one moment."""
        before = time.monotonic()
        reply = await self.call(device_id, "ping", f"ping {before}")
        assert reply.received_ms is not None
        return reply.received_ms, (before + time.monotonic()) / 2

    async def until(self, condition: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
        """Wait for news until the condition gives something."""
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            self._news.clear()
            left = deadline - time.monotonic()
            assert left > 0, f"not within {within_s:.0f} s: {what}; heard {self.heard}"
            try:
                await asyncio.wait_for(self._news.wait(), min(left, 0.05))
            except TimeoutError:
                continue
        return found
