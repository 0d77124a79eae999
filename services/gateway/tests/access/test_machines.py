"""Machines sign in with tokens of their issuer."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from k1_contracts.actors import Actor
from k1_contracts.messages.catalogue.graphs import GRAPH_GET
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.tokens import bearer
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S


@pytest.fixture
async def issuer() -> AsyncIterator[tuple[str, ECKey]]:
    """Serve the keys of an OpenID Connect issuer."""
    key = ECKey.generate_key("P-256", {"kid": "e1"})

    async def keys(_request: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False)]})

    app = web.Application()
    app.router.add_get("/keys", keys)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/keys", key
    await runner.cleanup()


async def test_a_machine_signs_in_by_its_issuer(
    issuer: tuple[str, ECKey], owners: Owners, provisioned: Infrastructure, tmp_path: Any
) -> None:
    """By the settings alone; an issuer that does not answer is no fault of the token."""
    url, key = issuer
    common = {"audience": "k1", "role_claim": "scope", "roles": {"k1:edit": "editor"}}
    issuers = [
        {"issuer": "https://id.example", "jwks_url": url, **common},
        {"issuer": "https://away.example", "jwks_url": "http://127.0.0.1:9/keys", **common},
    ]
    own = {"K1_AUTH": "on", "K1_GATEWAY_OIDC_ISSUERS": json.dumps(issuers)}

    def token(issuer: str) -> str:
        now = int(time.time())
        claims = {
            "iss": issuer,
            "aud": "k1",
            "sub": "m",
            "iat": now,
            "exp": now + 60,
            "scope": "openid k1:edit",
        }
        return jwt.encode({"alg": "ES256", "kid": "e1"}, claims, key)

    owners.respond_with(GRAPH_GET.subject, samples.graph())
    path = f"/tracks/{samples.TRACK}/versions/1/graph"
    with running_service("gateway", provisioned.environment | own, tmp_path) as running:
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", timeout=PATIENCE_S) as http:
            assert (await http.get(path, headers=bearer(token("https://id.example")))).status_code == 200
            assert owners.actors[-1] == Actor(
                kind="machine", id="m", name="m", role="editor", address="127.0.0.1"
            )
            assert (await http.get(path, headers=bearer(token("https://evil.example")))).status_code == 401
            assert (await http.get(path, headers=bearer(token("https://away.example")))).status_code == 503
