"""Strangers cannot use the servers of an embedded stack."""

import asyncio
import socket
import stat
import struct

import asyncpg
import nats
import psutil
import pytest
from minio import Minio
from nats.errors import Error as NatsError

from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_platform.auth.jwt import parse_credentials


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
