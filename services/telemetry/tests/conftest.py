"""Provides the running service, devices that a test controls, and a recorder of what is published."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from k1_contracts import streams, subjects
from k1_contracts.messages.telemetry import DEVICE_READINGS, PRESENCE_VALIDITY, Presence
from k1_platform.nats.jetstream_api import key_subject
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import PostgresSettings
from k1_telemetry.database import SCHEMA
from k1_telemetry.migrate import migrate
from k1_telemetry.store.partitions import ensure_partitions
from services.telemetry.tests import samples
from tests.support.bus import connected_client
from tests.support.database import empty_tables, temporary_database
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

REPEAT_INTERVAL_S = 3.0
Send = Callable[[], Awaitable[None]]


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database, which these tests may empty."""
    with temporary_database(provisioned.environment["K1_POSTGRES_DSN"], "telemetry", migrate) as settings:
        yield settings


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database with empty tables, which has the partitions of this hour."""
    async with await open_pool(database, "test") as pool:
        await empty_tables(pool, SCHEMA)
        now = datetime.now(UTC)
        await ensure_partitions(pool, now - timedelta(hours=1), now + timedelta(hours=1))
        yield pool


@pytest.fixture(scope="session")
def service_environment(provisioned: Infrastructure, database: PostgresSettings) -> dict[str, str]:
    """The variables of a telemetry process that uses the separate database."""
    return provisioned.environment | {"K1_POSTGRES_DSN": database.dsn.get_secret_value()}


@pytest.fixture(scope="module")
def no_presence(provisioned: Infrastructure) -> None:
    """Empty the presence bucket, because a leader publishes which of its devices have left since."""

    async def empty() -> None:
        async with connected_client() as client:
            await client.jetstream(timeout=PATIENCE_S).purge_stream(streams.PRESENCE.stream)

    asyncio.run(empty())


@pytest.fixture(scope="module")
def telemetry(
    no_presence: None, service_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Run the service as the leader for one module only, because it also raises alarms for other tests' devices."""
    folder = tmp_path_factory.mktemp("telemetry")
    with running_service("telemetry", service_environment, folder) as running:
        yield running


@dataclass
class MessageRecorder:
    """Records published messages in the order of their arrival, with the time."""

    client: Client
    messages: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    async def subscribe(self, *subject_filters: str) -> None:
        for subject in subject_filters:
            await self.client.subscribe(subject, cb=self._record)
        await self.client.flush()

    async def _record(self, message: Msg) -> None:
        self.messages.append((asyncio.get_running_loop().time(), message.subject, json.loads(message.data)))
        self._arrival.set()

    def of(self, subject: str, **values: Any) -> list[dict[str, Any]]:
        """Return the bodies on a subject that contain these values."""
        found = [body for _, published, body in self.messages if published == subject]
        return [body for body in found if values.items() <= body.items()]

    async def wait_for(self, condition: Callable[[], Any], what: str, send: Send | None = None) -> Any:
        """Wait until the condition is true and return its value.

        `send` is called at once and then at intervals, because a failover may lose a message.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if send is not None:
                        await send()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(None if send is None else REPEAT_INTERVAL_S):
                            return await self._wait_for(condition)
        except TimeoutError:
            raise AssertionError(
                f"not within {PATIENCE_S} s: {what}; received {self.messages[-10:]}"
            ) from None

    async def _wait_for(self, condition: Callable[[], Any]) -> Any:
        while not (found := condition()):
            self._arrival.clear()
            await self._arrival.wait()
        return found

    async def event(self, subject: str, send: Send | None = None, **values: Any) -> dict[str, Any]:
        """Wait for an event with these values and return the first."""
        return (await self.wait_for(lambda: self.of(subject, **values), f"{subject} {values}", send))[0]


@pytest.fixture
async def recorder(nats_client: Client) -> MessageRecorder:
    """Record events and live data."""
    recorder = MessageRecorder(nats_client)
    await recorder.subscribe(
        "device.online", "device.offline", "device.alarm", "live.telemetry.*", "live.track.*"
    )
    return recorder


@dataclass
class FakeDevice:
    """Sends the messages of a K1 over a test's connection."""

    client: Client
    id: str
    seq: int = 0
    track_id: str | None = samples.TRACK

    async def announce(self, kind: str) -> None:
        await self.client.publish(subjects.device(self.id, kind), json.dumps({"id": self.id}).encode())

    async def send(self, **changes: Any) -> None:
        """Send one reading."""
        reading = samples.fields(self.seq, self.seq * 100.0, track_id=self.track_id, **changes)
        self.seq += 1
        await self.client.publish(DEVICE_READINGS.subject_for(self.id), samples.message(reading))

    async def send_continuously(self, rate: float = 10.0, **changes: Any) -> None:
        """Send readings until cancelled."""
        while True:
            if self.client.is_connected:
                await self.send(**changes)
            await asyncio.sleep(1 / rate)

    async def presence(self) -> Presence | None:
        """Return its entry in the presence bucket, or None without one that is valid."""
        jetstream, name = self.client.jetstream(timeout=PATIENCE_S), streams.PRESENCE.name
        try:
            entry = await jetstream.get_last_msg(f"KV_{name}", key_subject(name, self.id), direct=True)
        except NotFoundError:
            return None
        assert entry.time is not None
        is_valid = entry.data and datetime.now(UTC) - entry.time <= PRESENCE_VALIDITY
        return Presence.model_validate_json(entry.data or b"") if is_valid else None


@pytest.fixture
async def device(nats_client: Client, unique: str) -> FakeDevice:
    """Return a device that no other test uses."""
    return FakeDevice(nats_client, f"k1-{unique}")


@pytest.fixture
async def start_sending() -> AsyncIterator[Callable[..., asyncio.Task[None]]]:
    """Return a function that starts `device.send_continuously(...)` in the background until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    def start(device: FakeDevice, **options: Any) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(device.send_continuously(**options)))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
