"""`k1 backup --servers` and `k1 restore --servers`: real servers that only the environment names."""

import asyncio
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pymongo
import pytest

from cli.tests.command_runner import run_k1
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_contracts import streams
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.auth.signing import ensure_key
from k1_platform.nats.administration.provision import provision_bus
from k1_platform.settings import NatsSettings, ObjectStoreSettings
from k1_platform.storage.objects import ObjectStore
from tests.support.bus import connected_client
from tests.support.waiting import PATIENCE_S

SUBJECT = DEVICE_READINGS.subject_for("k1-backup")
ROW, DOCUMENT, OBJECT, MESSAGE = "a row", {"_id": "map", "beats": [1.5, 2.5]}, b"RIFF", b"[1]"


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """Restore what new files are allowed: a backup keeps its files for their owner alone, in the whole process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@contextmanager
def servers(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """Run servers, and name them and the keys in the environment as an operator would."""
    keys = home / "service-keys"
    with EmbeddedStack(home) as stack:
        (keys / "accounts").mkdir(parents=True, exist_ok=True)
        ensure_key(keys / "signing")
        (keys / "secret.key").write_text("webhooks")
        environment = stack.urls.environment() | {
            "K1_NATS_KEYS": str(home / "nats-keys"),
            "K1_SIGNING_KEYS": str(keys / "signing"),
            "K1_ACCOUNTS_KEYS": str(keys / "accounts"),
            "K1_WEBHOOKS_KEY_FILE": str(keys / "secret.key"),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment


async def fill(environment: Mapping[str, str]) -> None:
    """Put something into every store."""
    async with connected_client(NatsSettings.of(environment)) as client:
        jetstream = client.jetstream(timeout=PATIENCE_S)
        await provision_bus(jetstream)
        await client.publish(SUBJECT, MESSAGE)
        await client.flush()
    connection = await asyncpg.connect(environment["K1_POSTGRES_DSN"])
    await connection.execute("CREATE SCHEMA kept; CREATE TABLE kept.rows (name text)")
    await connection.execute("INSERT INTO kept.rows VALUES ($1)", ROW)
    await connection.close()
    with pymongo.MongoClient[Any](environment["K1_MONGO_URL"]) as mongo:
        mongo["k1"]["maps"].insert_one(DOCUMENT)
    store = ObjectStore(ObjectStoreSettings())
    await store.ensure_bucket()
    await store.put_bytes("songs/a.wav", OBJECT, "audio/wav")
    store.close()


async def check(environment: Mapping[str, str]) -> None:
    """Check that every store has it."""
    async with connected_client(NatsSettings.of(environment)) as client:
        message = await client.jetstream(timeout=PATIENCE_S).get_last_msg(streams.TELEMETRY, SUBJECT)
        assert message.data == MESSAGE
    connection = await asyncpg.connect(environment["K1_POSTGRES_DSN"])
    assert await connection.fetchval("SELECT name FROM kept.rows") == ROW
    await connection.close()
    with pymongo.MongoClient[Any](environment["K1_MONGO_URL"]) as mongo:
        assert mongo["k1"]["maps"].find_one() == DOCUMENT
    store = ObjectStore(ObjectStoreSettings())
    assert await store.get_bytes("songs/a.wav") == OBJECT
    store.close()


def test_servers_are_backed_up_and_restored_into_empty_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every store and key is there again on other servers; servers that hold something are left as they are."""
    backup = tmp_path / "backup"
    with servers(tmp_path / "first", monkeypatch) as environment:
        asyncio.run(fill(environment))
        done = run_k1(capfd, "backup", str(backup), "--servers")
        assert done.returncode == 0, done.stderr
        assert run_k1(capfd, "restore", str(backup), "--servers").returncode == 1
        asyncio.run(check(environment))
    second = tmp_path / "second"
    shutil.copytree(backup / "keys" / "nats-keys", second / "nats-keys")
    with servers(second, monkeypatch) as environment:
        done = run_k1(capfd, "restore", str(backup), "--servers")
        assert done.returncode == 0, done.stderr
        assert "restart the NATS servers" in done.stdout
        asyncio.run(check(environment))
        monkeypatch.delenv("K1_WEBHOOKS_KEY_FILE")
        refused = run_k1(capfd, "backup", str(tmp_path / "other"), "--servers")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "set K1_WEBHOOKS_KEY_FILE" in refused.stderr
    assert (backup / "keys/webhook-keys/secret.key").read_text() == "webhooks"
