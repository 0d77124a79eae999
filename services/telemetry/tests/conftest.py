"""The service beside devices that a test plays with its own connection, and what it is heard to say."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError

from k1_contracts import streams, subjects
from k1_contracts.devices import Presence
from services.telemetry.tests import samples
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

PATIENCE_S = 120.0
"""Ends a test that hangs; nothing is promised to come within it."""
SAY_AGAIN_S = 3.0


Say = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
def telemetry(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """The service, leading; no longer than it is needed, as it raises alarms for devices of other tests too."""
    folder = tmp_path_factory.mktemp("telemetry")
    with running_service("telemetry", provisioned.environment, folder) as running:
        yield running


@dataclass
class Heard:
    """What was published, in the order of its arrival, with the time."""

    client: Client
    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, *listened: str) -> None:
        for subject in listened:
            await self.client.subscribe(subject, cb=self._take)
        await self.client.flush()

    async def _take(self, message: Msg) -> None:
        self.messages.append((asyncio.get_running_loop().time(), message.subject, json.loads(message.data)))
        self._news.set()

    def of(self, subject: str, **values: Any) -> list[dict[str, Any]]:
        """The bodies on a subject that have these values."""
        found = [body for _, heard, body in self.messages if heard == subject]
        return [body for body in found if values.items() <= body.items()]

    async def until(self, condition: Callable[[], Any], what: str, saying: Say | None = None) -> Any:
        """What the condition gives, once it does.

        `saying` is said now and then again and again: a service that changes over may lose a word.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if saying is not None:
                        await saying()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(None if saying is None else SAY_AGAIN_S):
                            return await self._found(condition)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}; heard {self.messages[-10:]}") from None

    async def _found(self, condition: Callable[[], Any]) -> Any:
        while not (found := condition()):
            self._news.clear()
            await self._news.wait()
        return found

    async def fact(self, subject: str, saying: Say | None = None, **values: Any) -> dict[str, Any]:
        """The first such fact."""
        return (await self.until(lambda: self.of(subject, **values), f"{subject} {values}", saying))[0]


@pytest.fixture
async def heard(nats_client: Client) -> Heard:
    """Facts and live data."""
    heard = Heard(nats_client)
    await heard.listen("device.online", "device.offline", "device.alarm", "live.telemetry.*", "live.track.*")
    return heard


@dataclass
class FakeDevice:
    """What a K1 says of itself, over a test's connection."""

    client: Client
    id: str
    seq: int = 0
    track_id: str | None = samples.TRACK

    async def say(self, word: str) -> None:
        await self.client.publish(subjects.device(self.id, word), json.dumps({"id": self.id}).encode())

    async def send(self, **changes: Any) -> None:
        """One reading."""
        reading = samples.fields(self.seq, self.seq * 100.0, track_id=self.track_id, **changes)
        self.seq += 1
        await self.client.publish(subjects.telemetry(self.id), samples.message(reading))

    async def play(self, rate: float = 10.0, **changes: Any) -> None:
        """Readings until cancelled."""
        while True:
            if self.client.is_connected:
                await self.send(**changes)
            await asyncio.sleep(1 / rate)

    async def presence(self) -> Presence | None:
        """Its entry in the bucket."""
        bucket = await self.client.jetstream(timeout=PATIENCE_S).key_value(streams.PRESENCE.name)
        try:
            entry = await bucket.get(self.id)
        except KeyNotFoundError:
            return None
        return Presence.model_validate_json(entry.value or b"")


@pytest.fixture
async def device(nats_client: Client, unique: str) -> FakeDevice:
    """A device that no other test knows."""
    return FakeDevice(nats_client, f"k1-{unique}")


@pytest.fixture
async def playing() -> AsyncIterator[Callable[..., asyncio.Task[None]]]:
    """Begin `device.play(...)` in the background; it ends with the test."""
    tasks: list[asyncio.Task[None]] = []

    def begin(device: FakeDevice, **how: Any) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(device.play(**how)))
        return tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
