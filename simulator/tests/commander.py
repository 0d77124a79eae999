"""Plays the service deploy at the other end of the device link."""

import asyncio
import time
from collections import defaultdict
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import COMMANDS, DEVICE_REPLY, FINAL_STATUSES, DeviceReply, Verb
from tests.support.waiting import PATIENCE_S


class Commander:
    """Sends commands and records every reply, with the way it came."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._sent = 0
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.received: defaultdict[str, list[tuple[str, DeviceReply]]] = defaultdict(list)
        """(`reply subject` or `topic`, reply) by command id."""

    async def start(self) -> None:
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
        await self._client.subscribe(DEVICE_REPLY.pattern, cb=self._on_topic)

    async def _on_reply(self, message: Msg) -> None:
        self._note("reply subject", message)

    async def _on_topic(self, message: Msg) -> None:
        self._note("topic", message)

    def _note(self, way: str, message: Msg) -> None:
        if message.data:  # without data there is no subscriber
            reply = DeviceReply.model_validate_json(message.data)
            self.received[reply.command_id].append((way, reply))
            self._news[reply.command_id].set()

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
        """Wait for the final reply to a command, or for one with this status; return the newest."""
        deadline = time.monotonic() + within_s
        while True:
            answers = [reply for _, reply in self.received[command_id]]
            wanted = [r for r in answers if (r.status == status if status else r.status in FINAL_STATUSES)]
            if wanted:
                return wanted[-1]
            self._news[command_id].clear()
            try:
                await asyncio.wait_for(self._news[command_id].wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"{command_id} not {status or 'final'}; received {answers}") from None

    async def call(self, device_id: str, verb: Verb, command_id: str, **fields: Any) -> DeviceReply:
        """Send a command and wait for its final reply."""
        self.forget(command_id)
        await self.send(device_id, verb, command_id, **fields)
        return await self.answer(command_id)

    def forget(self, command_id: str) -> None:
        """Forget the replies to a command."""
        self.received.pop(command_id, None)

    def statuses(self, command_id: str) -> list[tuple[str, str]]:
        """Return the way and the status of each reply to a command, in order."""
        return [(way, reply.status) for way, reply in self.received[command_id]]

    async def device_time(self, device_id: str) -> tuple[float, float, float]:
        """Return a time of the device's clock (ms), between two times of the host's monotonic clock (s)."""
        before = time.monotonic()
        reply = await self.call(device_id, "ping", f"ping {before}")
        assert reply.received_ms is not None
        return reply.received_ms, before, time.monotonic()
