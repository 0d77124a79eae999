"""Signing in and out at a running gateway: tokens for programs, cookies for browsers."""

import time

import httpx
import pytest

from k1_contracts.messages.accounts.authentication import (
    AUTH_LINK,
    AUTH_LOGIN,
    AUTH_LOGOUT,
    AUTH_REFRESH,
    Logout,
    Refresh,
    SignedOut,
)
from k1_contracts.messages.accounts.users import ME_GET, SESSION_LIST, SessionPage
from k1_contracts.messages.analysis import ANALYSIS_REQUEST, AnalysisAccepted
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.sign_ins import SESSION, signed_in, user
from services.gateway.tests.tokens import access_token, bearer

CSRF = {"X-K1-CSRF": "1"}


async def test_programs_get_tokens_and_browsers_get_cookies(guest: httpx.AsyncClient, owners: Owners) -> None:
    """A script can read neither of the cookies; without TLS they have no `__Host-` prefix."""
    owners.respond_with(AUTH_LOGIN.subject, signed_in())
    owners.respond_with(AUTH_LINK.subject, signed_in())
    form = {"email": "ann@example.org", "password": "secret"}
    answer = await guest.post("/auth/login", json=form)
    assert answer.json()["refresh_token"] == "r-1"
    assert "set-cookie" not in answer.headers
    for path, body in (("/auth/login", form), ("/auth/link", {"token": "once"})):
        answer = await guest.post(path, json={**body, "cookies": True})
        assert not {"access_token", "refresh_token"} & set(answer.json())
        assert answer.json()["user"]["name"] == "Ann"
        flags = [each.split("; ") for each in answer.headers.get_list("set-cookie")]
        assert [each[0].partition("=")[0] for each in flags] == ["k1-access", "k1-refresh"]
        for each in flags:
            assert {"HttpOnly", "Path=/", "SameSite=Strict"} <= set(each)
            assert not any(flag.startswith("Domain") for flag in each)


@pytest.fixture
async def browser(guest: httpx.AsyncClient, owners: Owners) -> httpx.AsyncClient:
    """Return a client that is signed in by cookies."""
    owners.respond_with(AUTH_LOGIN.subject, signed_in())
    form = {"email": "ann@example.org", "password": "secret", "cookies": True}
    assert (await guest.post("/auth/login", json=form)).status_code == 200
    return guest


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (CSRF, None),
        ({}, "csrf_header_required"),
        ({**CSRF, "Origin": "http://evil.example"}, "origin_not_allowed"),
        ({**CSRF, "Origin": "null"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "same-site", **CSRF}, "origin_not_allowed"),
    ],
)
async def test_a_foreign_page_cannot_use_the_cookies(
    browser: httpx.AsyncClient, owners: Owners, headers: dict[str, str], code: str | None
) -> None:
    """Neither by a form, which cannot send the header, nor by a script, whose origin is another."""
    accepted = AnalysisAccepted(job_id=samples.JOB, version=2, queue_position=1)
    owners.respond_with(ANALYSIS_REQUEST.subject, accepted)
    answer = await browser.post(f"/tracks/{samples.TRACK}/analysis", headers=headers)
    assert answer.json().get("code") == code
    sent = [each for each in owners.received if isinstance(each, ANALYSIS_REQUEST.model)]
    assert len(sent) == (code is None)


async def test_a_websocket_of_a_foreign_page_is_refused(browser: httpx.AsyncClient, owners: Owners) -> None:
    """It begins with GET, and browsers send cookies of the same site with it."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://localhost:1"}
    answer = await browser.get("/nothing", headers=upgrade)
    assert answer.json()["code"] == "origin_not_allowed"


async def test_cookies_are_refreshed_and_removed(browser: httpx.AsyncClient, owners: Owners) -> None:
    """Refreshing needs the header as well; a token that is not accepted is removed from the browser."""
    owners.respond_with(ME_GET.subject, user())
    assert (await browser.get("/me")).status_code == 200
    assert (await browser.post("/auth/refresh")).json()["code"] == "csrf_header_required"
    owners.respond_with(AUTH_REFRESH.subject, signed_in(refresh_token="r-2"))
    answer = await browser.post("/auth/refresh", headers=CSRF)
    assert "refresh_token" not in answer.json()
    assert browser.cookies["k1-refresh"] == "r-2"
    sent = owners.received[-1]
    assert isinstance(sent, Refresh)
    assert sent.refresh_token == "r-1"

    owners.respond_with(
        AUTH_REFRESH.subject, QueryError("refresh_token_reused", "The session has ended.", 401)
    )
    answer = await browser.post("/auth/refresh", headers=CSRF)
    assert (answer.status_code, answer.json()["code"]) == (401, "refresh_token_reused")
    assert dict(browser.cookies) == {}
    assert (await browser.post("/auth/refresh", headers=CSRF)).json()["code"] == "session_ended"


async def test_signing_out_never_fails(browser: httpx.AsyncClient, owners: Owners) -> None:
    """Not with an expired token either; the cookies are removed."""
    owners.respond_with(AUTH_LOGOUT.subject, SignedOut())
    assert (await browser.post("/auth/logout")).json()["code"] == "csrf_header_required"
    assert (await browser.post("/auth/logout", headers=CSRF)).status_code == 204
    assert dict(browser.cookies) == {}
    sent = owners.received[-1]
    assert isinstance(sent, Logout)
    assert (sent.refresh_token, sent.session_id) == ("r-1", SESSION)
    for token in (access_token(exp=time.time() - 60), "nonsense"):
        assert (await browser.post("/auth/logout", headers=bearer(token))).status_code == 204
    assert (await browser.post("/auth/logout", json={"refresh_token": "r-9"})).status_code == 204


async def test_throttled_sign_in_says_when_to_try_again(guest: httpx.AsyncClient, owners: Owners) -> None:
    """Accounts says it."""
    error = QueryError("too_many_attempts", "Too many attempts.", 429, retry_after_s=77)
    owners.respond_with(AUTH_LOGIN.subject, error)
    answer = await guest.post("/auth/login", json={"email": "a@b.example", "password": "x"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "77")
    owners.respond_with(AUTH_LOGIN.subject, QueryError("sign_in_failed", "Address or password.", 401))
    answer = await guest.post("/auth/login", json={"email": "a@b.example", "password": "x"})
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_failed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_own_session_is_marked(guest: httpx.AsyncClient, owners: Owners) -> None:
    """The gateway tells accounts which session asks; a client cannot."""
    owners.respond_with(SESSION_LIST.subject, SessionPage(total=0, items=[]))
    headers = bearer(access_token(sid=SESSION))
    assert (await guest.get("/me/sessions", headers=headers)).status_code == 200
    assert owners.received[-1].session_id == SESSION
