"""The service as a real process, and its migrations."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from nats.aio.client import Client

from k1_accounts.migrate import migrate
from k1_contracts.messages.accounts.authentication import AUTH_LINK, JWKS_GET, GetJwks, SignedIn, SignInByLink
from k1_contracts.messages.accounts.users import KEY_VERIFY, ME_GET, USER_LIST, GetMe, ListUsers, VerifyKey
from k1_contracts.rpc import RpcError
from k1_platform.nats.actors import acting_as, actor_headers
from k1_platform.settings import PostgresSettings
from services.accounts.tests.accounts_system import actor_of
from tests.support.bus import request
from tests.support.database import temporary_database
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S

TABLES = {"users", "passwords", "sessions", "refresh_tokens", "api_keys", "audit", "mails", "migrations"}
LEFTOVERS = (
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'accounts'::regnamespace AND relkind IN ('r', 'S')"
)


async def test_from_the_bootstrap_to_a_verified_token(
    migrated: Infrastructure, tmp_path: Path, nats_client: Client
) -> None:
    """The link of the bootstrap signs in, the JWKS verifies the token, the key is verified, roles are enforced."""
    environment = {"K1_ACCOUNTS_KEYS": str(tmp_path / "keys")}
    key_file, result = tmp_path / "api-key", tmp_path / "result.json"
    bootstrap = [sys.executable, "-m", "k1_accounts.bootstrap", "--key-file", key_file, "--result", result]
    done = await asyncio.to_thread(subprocess.run, bootstrap, check=True, capture_output=True, text=True)
    assert done.stdout == ""
    token = json.loads(result.read_text())["link_token"]
    with running_service("accounts", migrated.environment | environment, tmp_path) as service:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            ready = (await http.get(f"{service.url}/readyz")).json()
        signed_in = await request(nats_client, AUTH_LINK, SignInByLink(token=token))
        assert isinstance(signed_in, SignedIn)
        jwks = await request(nats_client, JWKS_GET, GetJwks())
        assert not isinstance(jwks, RpcError)
        verified = await request(nats_client, KEY_VERIFY, VerifyKey(key=key_file.read_text().strip()))
        assert not isinstance(verified, RpcError)
        me = await _request_as(nats_client, actor_of(signed_in.user), ME_GET, GetMe())
        viewer = actor_of(signed_in.user, role="viewer")
        refused = await _request_as(nats_client, viewer, USER_LIST, ListUsers())
        log = service.log.read_text()
    (key,) = jwt.PyJWKSet.from_dict(jwks.model_dump()).keys
    claims = jwt.decode(
        signed_in.access_token, key, algorithms=["EdDSA"], audience="k1", issuer="k1-accounts"
    )
    assert (ready["status"], ready["checks"]["postgres"]) == ("ready", "ok")
    assert claims["sub"] == verified.actor.id == me["result"]["id"]
    assert (claims["role"], verified.actor.role) == ("admin", "admin")
    assert refused["error"]["code"] == "role_required"
    assert service.process.returncode == 0
    assert token not in log
    assert signed_in.refresh_token not in log


async def _request_as(client: Client, actor: Any, query: Any, body: Any) -> Any:
    with acting_as(actor):
        reply = await client.request(
            query.subject, body.to_json(), timeout=PATIENCE_S, headers=actor_headers()
        )
    return json.loads(reply.data)


@pytest.fixture
def settings(infrastructure: Infrastructure) -> Iterator[PostgresSettings]:
    """A separate database."""
    with temporary_database(infrastructure.environment["K1_POSTGRES_DSN"], "k1") as settings:
        yield settings


async def test_migrations_up_down_up(settings: PostgresSettings) -> None:
    """Every migration can be reverted and applied again; a reverted one leaves nothing behind."""
    connection = await asyncpg.connect(settings.dsn.get_secret_value())
    for direction, complete in (("up", True), ("down", False), ("up", True)):
        await migrate(settings, direction)  # type: ignore[arg-type]
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'accounts'")
        assert ({row["tablename"] for row in rows} >= TABLES) == complete
        if not complete:
            assert await connection.fetchval(LEFTOVERS) == 1  # the table `migrations`
    await connection.close()
