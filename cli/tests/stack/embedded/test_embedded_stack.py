"""The embedded stack with real servers: they answer, and keep their data."""

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import psutil
import pytest

from cli.tests.stack.embedded.stored_data import (
    NAMES,
    READERS,
    WRITERS,
    publish,
    read_nats,
    s3,
    sql,
    write_nats,
)
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import HomeInUseError, StackError
from k1_platform.auth.nkeys import NatsKeys
from tests.support.processes import is_alive
from tests.support.waiting import wait_until


@pytest.mark.parametrize("name", NAMES)
def test_data_and_port_survive_a_kill(stack: EmbeddedStack, name: str) -> None:
    """Data that was confirmed as stored is there after `kill -9` and a restart, at the same address."""
    WRITERS[name](stack)
    before = (stack.server(name).port, stack.urls)
    stack.kill(name)
    assert not stack.server(name).ready()
    stack.restart(name)
    assert (stack.server(name).port, stack.urls) == before
    assert READERS[name](stack) == b"kept"


def test_postgres_restarts_although_a_backend_still_computes(stack: EmbeddedStack) -> None:
    """A busy backend that does not notice the end of its postmaster does not prevent a new server."""

    async def abandon() -> None:
        connection = await asyncpg.connect(stack.urls.postgres_dsn)
        backend = connection.get_server_pid()
        work = asyncio.ensure_future(
            connection.fetchval(
                "SELECT sum(a * b) FROM generate_series(1, 100000) a, generate_series(1, 100000) b"
            )
        )
        await asyncio.to_thread(
            wait_until, lambda: psutil.Process(backend).cpu_times().user > 0.02, "the backend works"
        )
        await asyncio.to_thread(stack.kill, "postgres")
        assert is_alive(backend)
        await asyncio.to_thread(stack.restart, "postgres")
        assert not is_alive(backend)
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await work
        connection.terminate()

    asyncio.run(abandon())
    assert asyncio.run(sql(stack, "SELECT 1")) == 1


def test_the_limits_that_services_rely_on(stack: EmbeddedStack) -> None:
    """A 7 MB message fits, PostgreSQL is 18 or later with pgvector, and text is UTF-8."""
    assert asyncio.run(publish(stack, bytes(7_000_000))) > 0
    version, vector, encoding = asyncio.run(
        sql(
            stack,
            "CREATE EXTENSION IF NOT EXISTS vector",
            "SELECT ARRAY[current_setting('server_version_num'), '[1,2]'::vector::text, current_setting('server_encoding')]",
        )
    )
    assert int(version) >= 180_000
    assert (vector, encoding) == ("[1,2]", "UTF8")


def test_streams_from_before_the_operator_are_kept(tmp_path: Path) -> None:
    """An old home with accounts by name in its configuration has its streams in the operator's account."""
    with EmbeddedStack(tmp_path) as stack:
        write_nats(stack)
        account = NatsKeys(stack.home.nats_keys).account
    streams = tmp_path / "data" / "nats" / "jetstream" / "jetstream"
    (streams / account).rename(streams / "K1")
    old = json.loads((tmp_path / "credentials.json").read_text()) | {"nats_password": "of old"}
    (tmp_path / "credentials.json").write_text(json.dumps(old))
    with EmbeddedStack(tmp_path) as stack:
        assert read_nats(stack) == b"kept"


def test_a_home_runs_one_stack(stack: EmbeddedStack) -> None:
    """A second stack on the same home raises an error and disturbs nothing."""
    with pytest.raises(HomeInUseError, match="already runs"):
        EmbeddedStack(stack.home.root).start()
    assert all(server.ready() for server in stack.servers)


def test_unknown_servers_are_named(stack: EmbeddedStack) -> None:
    """The error for a wrong name lists the right ones."""
    with pytest.raises(StackError, match="nats, postgres, mongo, s3"):
        stack.kill("redis")


def test_the_environment_is_complete(stack: EmbeddedStack) -> None:
    """Every variable that the services read is present and not empty."""
    environment = stack.urls.environment()
    assert set(environment) == {
        "K1_NATS_URL", "K1_NATS_CREDS", "K1_POSTGRES_DSN", "K1_MONGO_URL", "K1_S3_URL",
        "K1_S3_ACCESS_KEY", "K1_S3_SECRET_KEY", "K1_S3_BUCKET", "K1_S3_PUBLIC_URL",
    }  # fmt: skip
    assert all(environment.values())


def test_a_server_outlives_the_thread_that_started_it(stack: EmbeddedStack) -> None:
    """The kernel ends children with the thread that forked them, so a short-lived thread must not fork them."""
    with ThreadPoolExecutor(1) as passing:
        passing.submit(stack.restart, "s3").result()
    with pytest.raises(psutil.TimeoutExpired):
        psutil.Process(stack.server("s3").process.pid).wait(0.3)
    wait_until(stack.server("s3").ready, "S3 answers")


def test_many_folders_of_objects(stack: EmbeddedStack) -> None:
    """A store with hundreds of songs needs as little work per song as an empty one, also for new objects."""
    client, server = s3(stack), psutil.Process(stack.server("s3").process.pid)
    client.make_bucket("songs")

    def busy_s() -> float:
        times = server.cpu_times()
        return times.user + times.system

    before = busy_s()
    for number in range(100):
        for name in ("map.json", "metrics.json"):
            client.put_object("songs", f"artefacts/{number}/1/{name}", io.BytesIO(b"{}"), 2)
            assert client.get_object("songs", f"artefacts/{number}/1/{name}").read() == b"{}"
    assert busy_s() - before < 20
