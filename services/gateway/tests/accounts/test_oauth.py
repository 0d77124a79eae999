"""Signing in by a provider."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from k1_contracts.messages.accounts.authentication import (
    OAUTH_FINISH,
    OAUTH_START,
    FinishOAuth,
    OAuthFinished,
    OAuthStarted,
)
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests.conftest import Owners
from services.gateway.tests.sign_ins import signed_in


async def test_a_provider_sends_the_browser_back(guest: httpx.AsyncClient, owners: Owners) -> None:
    """The cookie that binds the answer to the browser is Lax, as the provider is another site, and used once."""
    started = OAuthStarted(
        authorization_url="https://id.example/authorize?state=s",
        browser_token="bound",
        expires_at=datetime.now(UTC) + timedelta(minutes=10),
    )
    owners.respond_with(OAUTH_START.subject, started)
    answer = await guest.get("/auth/oauth/google", params={"return_to": "/tracks/1"})
    assert (answer.status_code, answer.headers["Location"]) == (302, started.authorization_url)
    assert {"HttpOnly", "SameSite=Lax"} <= set(answer.headers["set-cookie"].split("; "))
    assert owners.received[-1].return_to == "/tracks/1"

    owners.respond_with(OAUTH_FINISH.subject, OAuthFinished(signed_in=signed_in(), return_to="/tracks/1"))
    answer = await guest.get("/auth/oauth/google/callback", params={"state": "s", "code": "c"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/tracks/1")
    sent = owners.received[-1]
    assert isinstance(sent, FinishOAuth)
    assert (sent.browser_token, sent.state, sent.code) == ("bound", "s", "c")
    assert set(guest.cookies) == {"k1-access", "k1-refresh"}


@pytest.mark.parametrize("params", [{}, {"error": "access_denied", "state": "s"}, {"state": "x" * 500}])
async def test_a_failed_sign_in_leads_to_the_page(
    guest: httpx.AsyncClient, owners: Owners, params: dict[str, str]
) -> None:
    """With the code of the problem, and without any cookie."""
    owners.respond_with(OAUTH_FINISH.subject, QueryError("oauth_failed", "Begin again.", 400))
    answer = await guest.get("/auth/oauth/google/callback", params=params)
    assert answer.status_code == 302
    place = urlsplit(answer.headers["Location"])
    assert (place.netloc, place.path, parse_qs(place.query)) == ("", "/sign-in", {"error": ["oauth_failed"]})
    assert dict(guest.cookies) == {}
