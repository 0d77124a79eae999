"""Tests the subjects of the JetStream API, and that no other module writes them."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nats.aio.msg import Msg

from k1_platform.nats.jetstream_api import (
    ANY_KEY,
    is_delivery,
    key_of,
    key_subject,
    purge_key,
    request_consumer_info,
    request_messages,
    take_message,
)

ROOT = Path(__file__).parents[4]
OWNER = ROOT / "libs/platform/k1_platform/nats/jetstream_api.py"
PERMISSIONS = ROOT / "libs/platform/k1_platform/auth/service_permissions.py"
SOURCES = (
    "libs/*/k1_*", "services/*/k1_*", "cli/k1_cli", "simulator/k1_simulator", "tests/support", "tests/chaos",
)  # fmt: skip
RAW = ("$JS.API", "$JS.ACK", "$KV")


def sources() -> Iterator[Path]:
    for pattern in SOURCES:
        for folder in ROOT.glob(pattern):
            yield from (file for file in folder.rglob("*.py") if file not in {OWNER, PERMISSIONS})


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the string constants of a module, also those within f-strings; not its docstrings."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node


def raw_subjects(source: str) -> list[int]:
    """Return the lines on which a source has a raw subject."""
    return [
        node.lineno for node in strings(ast.parse(source)) if any(prefix in str(node.value) for prefix in RAW)
    ]


def test_no_other_module_writes_raw_subjects() -> None:
    """The subjects of the JetStream API and of buckets stand in one module, and in that of the permissions."""
    files = list(sources())
    assert len(files) > 300
    found = [f"{file.relative_to(ROOT)}:{line}" for file in files for line in raw_subjects(file.read_text())]
    assert found == []


@pytest.mark.parametrize("subject", ["$JS.API.CONSUMER.INFO.{x}", "$JS.ACK.", "$KV.{x}.key"])
def test_a_raw_subject_is_found(subject: str) -> None:
    """The search above finds raw subjects in strings and f-strings."""
    assert raw_subjects(OWNER.read_text())
    assert raw_subjects(f'"""Doc."""\nx = 1\na = "{subject}"\nb = f"{subject}"\n') == [3, 4]


def test_key_subjects() -> None:
    """A key and its subject belong together."""
    assert key_subject("JOBS", "a.b") == "$KV.JOBS.a.b"
    assert key_subject("JOBS", ANY_KEY) == "$KV.JOBS.*"
    assert key_of("JOBS", "$KV.JOBS.a.b") == "a.b"


class Recorder:
    """Records the calls of a client and of JetStream."""

    def __init__(self, reply: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.message = Msg(_client=None, subject="s", reply=reply, data=b"{}")  # type: ignore[arg-type]

    async def request(self, subject: str, body: bytes, **options: object) -> Msg:
        self.calls.append((subject, body, options))
        return self.message

    async def publish(self, subject: str, body: bytes, reply: str) -> None:
        self.calls.append((subject, body, reply))

    async def purge_stream(self, name: str, subject: str) -> None:
        self.calls.append((name, subject))


async def test_requests() -> None:
    """The requests have the subjects and bodies of the JetStream API."""
    recorder: Any = Recorder()
    await purge_key(recorder, "UPLOADS", "pending.t")
    await request_messages(recorder, "S", "c", batch=5, expires_s=1.5, reply="_INBOX.1")
    assert await request_consumer_info(recorder, "S", "c", timeout_s=2) == b"{}"
    (purged, (subject, body, reply), info) = recorder.calls
    assert purged == ("KV_UPLOADS", "$KV.UPLOADS.pending.t")
    assert (subject, reply) == ("$JS.API.CONSUMER.MSG.NEXT.S.c", "_INBOX.1")
    assert json.loads(body) == {"batch": 5, "expires": 1_500_000_000}
    assert info == ("$JS.API.CONSUMER.INFO.S.c", b"", {"timeout": 2})


async def test_taking_a_message() -> None:
    """A delivered message is returned; a status of the broker is not a message."""
    delivery: Any = Recorder("$JS.ACK.S.c.1.7.7.1.0")
    assert await take_message(delivery, "S", "c", timeout_s=2) is delivery.message
    assert is_delivery(delivery.message)
    ((subject, body, options),) = delivery.calls
    assert (subject, json.loads(body)) == ("$JS.API.CONSUMER.MSG.NEXT.S.c", {"batch": 1, "no_wait": True})
    assert options == {"timeout": 2, "old_style": True}
    status: Any = Recorder()
    assert await take_message(status, "S", "c", timeout_s=2) is None
    assert not is_delivery(SimpleNamespace(reply=None))  # type: ignore[arg-type]
