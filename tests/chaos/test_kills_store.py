"""Kills telemetry processes, PostgreSQL and NATS with SIGKILL while samples are stored: none is lost or doubled."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import SecretStr

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_cli.stack.embedded.servers.postgres import PostgresServer
from k1_contracts import streams
from k1_contracts.durables import TELEMETRY_STORE
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.nats.administration.provision import consumer_config, provision_bus
from k1_platform.settings import PostgresSettings
from k1_telemetry.migrate import migrate
from services.telemetry.tests import samples
from tests.support.bus import connected_client, read_stream
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.chaos
ACK_WAIT = timedelta(seconds=2)
DEVICES = 20
KILLS = 5
PROCESSES = ("telemetry-0", "telemetry-1")
SERVERS = ("nats", "postgres")
ROLLUP_COUNT = "SELECT coalesce(sum(count), 0) FROM telemetry.{}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take one seed, or many in a long run."""
    metafunc.parametrize("seed", range(1, 21 if metafunc.config.getoption("--long") else 2))


@dataclass
class StoreSystem:
    """A broker, a database and two telemetry processes, each of which can be killed."""

    nats: NatsServer
    postgres: PostgresServer
    folder: Path
    running: dict[str, tuple[ExitStack, RunningService]]

    def start_process(self, name: str) -> None:
        environment = {
            "K1_NATS_URL": self.nats.settings.url,
            "K1_NATS_CREDS": str(self.nats.settings.creds),
            "K1_POSTGRES_DSN": self.postgres.dsn,
        }
        stack = ExitStack()
        service = stack.enter_context(running_service("telemetry", environment, self.folder))
        self.running[name] = stack, service

    def kill(self, name: str) -> None:
        """Kill a process or server, and start it again."""
        if name in SERVERS:
            server = self.nats if name == "nats" else self.postgres
            server.kill()
            server.start()
            return
        stack, service = self.running.pop(name)
        service.process.kill()
        stack.close()
        self.start_process(name)

    def stop(self) -> None:
        for stack, _ in self.running.values():
            stack.close()
        self.postgres.stop()
        self.nats.stop()


@asynccontextmanager
async def store_system(folder: Path) -> AsyncGenerator[StoreSystem]:
    """Run the parts until the block ends. What a killed process holds comes again soon."""
    home = Home(folder / "home")
    home.create()
    system = StoreSystem(NatsServer(home), PostgresServer(home), folder, {})
    async with AsyncExitStack() as cleanup:
        cleanup.push_async_callback(asyncio.to_thread, system.stop)
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in (system.nats, system.postgres)))
        await migrate(PostgresSettings(dsn=SecretStr(system.postgres.dsn)))
        async with connected_client(system.nats.settings) as client:
            await provision_bus(client.jetstream(timeout=PATIENCE_S))
            durable = replace(TELEMETRY_STORE, ack_wait=ACK_WAIT)
            await client.jetstream(timeout=PATIENCE_S).add_consumer(durable.stream, consumer_config(durable))
        await asyncio.gather(*(asyncio.to_thread(system.start_process, name) for name in PROCESSES))
        yield system


async def publish(client: Client, rng: random.Random, published: list[int]) -> None:
    """Publish messages with one to five readings until cancelled; append the number of readings of each."""
    seq = 0
    while True:
        if client.is_connected:
            device, count = rng.randrange(DEVICES), rng.randint(1, 5)
            readings = [samples.fields(seq + part, (seq + part) * 10.0) for part in range(count)]
            await client.publish(DEVICE_READINGS.subject_for(f"k1-{device}"), samples.message(*readings))
            published.append(count)
            seq += count
        await asyncio.sleep(0.002)


async def publish_last(client: Client, seq: int) -> bool:
    """Publish a reading; return whether the stream has it: it acknowledges nothing, and `publish` does not wait for it."""
    subject, body = DEVICE_READINGS.subject_for("k1-0"), samples.message(samples.fields(seq, seq * 10.0))
    await client.publish(subject, body)
    await client.flush()
    last = await client.jetstream(timeout=2).get_last_msg(streams.TELEMETRY, subject)
    return last.data == body


async def test_a_kill_loses_and_doubles_no_sample(tmp_path: Path, seed: int) -> None:
    """Every sample that the stream has is stored once, and each rollup counts each once, whatever was killed."""
    rng = random.Random(seed)
    async with (
        store_system(tmp_path) as system,
        connected_client(system.nats.settings, max_reconnect_attempts=-1, reconnect_time_wait=0.1) as client,
    ):
        published: list[int] = []
        publishing = asyncio.create_task(publish(client, random.Random(seed), published))
        targets = rng.sample([*PROCESSES, *SERVERS], 4) + rng.choices([*PROCESSES, *SERVERS], k=KILLS - 4)
        for target in targets:
            goal = len(published) + rng.randint(50, 400)
            await eventually(lambda goal=goal: len(published) > goal, "some messages were published")
            await asyncio.to_thread(system.kill, target)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await eventually(
            lambda: publish_last(client, sum(published)),
            "the stream has the last message, and so all before it",
            retry_on=(NatsError, TimeoutError),
        )

        async def all_acknowledged() -> bool:
            info = await client.jetstream(timeout=5).consumer_info(
                TELEMETRY_STORE.stream, TELEMETRY_STORE.name
            )
            return info.num_pending == 0 and info.num_ack_pending == 0

        await eventually(
            all_acknowledged,
            "the processes have acknowledged every message",
            interval_s=0.1,
            retry_on=(NatsError, TimeoutError),
        )
        expected = Counter[tuple[str, int]]()
        for message in await read_stream(client, streams.TELEMETRY, DEVICE_READINGS.pattern):
            body = json.loads(message.data)
            device = message.subject.partition(".")[2]
            expected.update((device, each["seq"]) for each in (body if isinstance(body, list) else [body]))
        connection = await asyncpg.connect(system.postgres.dsn)
        rows = await connection.fetch("SELECT device_id, seq FROM telemetry.samples")
        totals = [
            await connection.fetchval(ROLLUP_COUNT.format(name))
            for name in ("rollup_1s", "rollup_5s", "rollup_1m")
        ]
        await connection.close()
        assert Counter((row["device_id"], row["seq"]) for row in rows) == expected
        assert totals == [expected.total()] * 3
        assert expected.total() > 500
