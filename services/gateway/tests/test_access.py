"""Who may do what at a running gateway: roles, keys, revocation, cookies, providers, machines, streams."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey
from nats.js import JetStreamContext

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.actors import ROLES, Actor, Role
from k1_contracts.envelope import Envelope
from k1_contracts.ids import new_id
from k1_contracts.messages.accounts.authentication import (
    AUTH_LINK,
    AUTH_LOGIN,
    AUTH_LOGOUT,
    AUTH_REFRESH,
    OAUTH_FINISH,
    OAUTH_START,
    FinishOAuth,
    GetJwks,
    Login,
    Logout,
    OAuthFinished,
    OAuthStarted,
    Refresh,
    SignedIn,
    SignedOut,
)
from k1_contracts.messages.accounts.users import (
    ACCESS_CHANGED,
    KEY_VERIFY,
    ME_GET,
    SESSION_LIST,
    AccessChanged,
    SessionPage,
    UserView,
    VerifiedKey,
    VerifyKey,
)
from k1_contracts.messages.analysis import ANALYSIS_REQUEST, AnalysisAccepted
from k1_contracts.messages.catalogue.graphs import GRAPH_GET
from k1_contracts.messages.catalogue.tracks import TRACK_LIST
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DEPLOYMENT_PLAN
from k1_contracts.messages.deploy.deployments import DEPLOY_REQUESTED
from k1_contracts.streams import EVENTS
from k1_gateway.handlers import ENDPOINTS
from k1_gateway.limits.gcra import Rate
from k1_gateway.limits.shared_rates import _ALONE_S, SharedRates
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from services.gateway.tests.test_parameters import GOOD
from services.gateway.tests.tokens import FOREIGN_KEY, USER, access_token, bearer
from tests.support.bus import connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually

CSRF = {"X-K1-CSRF": "1"}
KEY = "k1_" + "a" * 40
KEY_ID = "key_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
SESSION = "ses_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"


@pytest.fixture
async def guest(secured: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that is not signed in."""
    async with httpx.AsyncClient(base_url=f"{secured.url}/api/v1", timeout=PATIENCE_S) as client:
        yield client


def user(role: Role = "editor") -> UserView:
    now = datetime.now(UTC)
    return UserView(
        id=USER,
        email="ann@example.org",
        name="Ann",
        role=role,
        email_verified=True,
        disabled=False,
        has_password=True,
        skill_level="expert",
        locale="en",
        created_at=now,
        updated_at=now,
    )


def signed_in(role: Role = "editor", refresh_token: str = "r-1") -> SignedIn:
    now = datetime.now(UTC)
    return SignedIn(
        session_id=SESSION,
        access_token=access_token(role, sid=SESSION),
        access_expires_at=now + timedelta(minutes=15),
        refresh_token=refresh_token,
        refresh_expires_at=now + timedelta(days=7),
        user=user(role),
    )


def verified_key(role: Role = "operator", cached_s: float = 30) -> VerifiedKey:
    actor = Actor(kind="key", id=USER, name="Ann", role=role)
    return VerifiedKey(
        key_id=KEY_ID, actor=actor, cache_until=datetime.now(UTC) + timedelta(seconds=cached_s)
    )


# ---------------------------------------------------------------- roles


def is_refused(answer: httpx.Response, status: int, code: str) -> bool:
    """Return whether this is the problem; the response to HEAD has no body."""
    if answer.request.method == "HEAD":
        return answer.status_code == status
    return (answer.status_code, answer.json()["code"]) == (status, code)


async def test_every_endpoint_demands_its_role(guest: httpx.AsyncClient, owners: Owners) -> None:
    """Without sign-in 401, with a lower role 403, and nothing reaches the owner; only the public ones are for everyone."""
    for endpoint in ENDPOINTS:
        name, path = endpoint.operation_id, endpoint.path.format_map(GOOD)
        # A parameter that does not exist ends what would wait for events, after the role was checked.
        path += "?unknown=1" if endpoint.is_stream else ""
        answer = await guest.request(endpoint.method, path)
        if endpoint.public:
            is_problem = answer.status_code in {401, 403}
            assert not is_problem or answer.json()["code"] not in {"unauthenticated", "role_required"}, name
            continue
        assert is_refused(answer, 401, "unauthenticated"), name
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="k1"'
        for role in ROLES:
            owners.received.clear()
            answer = await guest.request(endpoint.method, path, headers=bearer(access_token(role)))
            if ROLES.index(role) < ROLES.index(endpoint.least_role):
                assert is_refused(answer, 403, "role_required"), (name, role)
                assert endpoint.method == "HEAD" or endpoint.least_role in answer.json()["detail"]
                assert owners.received in ([], [GetJwks()])
            else:
                assert answer.status_code not in {401, 403}, (name, role, answer.text)


def test_the_roles_are_those_of_the_design() -> None:
    """Uploading and editing need editor, deploying operator, users admin; reading needs sign-in."""
    roles = {each.operation_id: each.least_role for each in ENDPOINTS if not each.public}
    assert roles["listTracks"] == roles["getMe"] == "viewer"
    assert roles["uploadTrack"] == roles["requestAnalysis"] == roles["cancelJob"] == "editor"
    assert roles["requestDeployment"] == roles["rollbackDeployment"] == "operator"
    assert (
        roles["listUsers"] == roles["deleteUser"] == roles["addDevices"] == roles["revokeDevices"] == "admin"
    )
    public = {each.operation_id for each in ENDPOINTS if each.public}
    assert public == {
        *("getHealth", "getOpenApi", "getAsyncApi", "register", "verifyEmail", "logIn", "logInByLink"),
        *("refreshSession", "logOut", "forgotPassword", "resetPassword", "listProviders", "beginOauth"),
        *("finishOauth", "openLink"),
    }


async def test_the_actor_reaches_the_owner(guest: httpx.AsyncClient, owners: Owners) -> None:
    """With the address of the request; a public query carries none."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    owners.respond_with(AUTH_LOGIN.subject, signed_in())
    token = access_token("editor")
    assert (await guest.get("/tracks", headers=bearer(token))).status_code == 200
    expected = Actor(kind="user", id=USER, name="Ann", role="editor", address="127.0.0.1")
    assert owners.actors[-1] == expected
    await guest.post("/auth/login", json={"email": "a@b.example", "password": "x"}, headers=bearer(token))
    assert owners.actors[-1] is None
    assert isinstance(owners.received[-1], Login)
    assert owners.received[-1].client.address == "127.0.0.1"


async def test_nobody_deploys_under_another_name(
    guest: httpx.AsyncClient, owners: Owners, jetstream: JetStreamContext
) -> None:
    """The command has the name of the caller, and its envelope who that is."""
    owners.respond_with(DEPLOYMENT_PLAN.subject, samples.plan(would_start=True))
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment())
    order = {"track_id": samples.TRACK, "version": 1, "group": "stage", "requested_by": "the boss"}
    answer = await guest.post("/deployments", json=order, headers=bearer(access_token("operator")))
    assert answer.status_code == 202, answer.text
    message = await jetstream.get_last_msg(EVENTS, DEPLOY_REQUESTED.subject)
    assert json.loads(message.data or b"")["requested_by"] == "Ann"
    actor = Envelope.from_headers(message.headers or {}).actor
    assert actor is not None
    assert (actor.id, actor.role) == (USER, "operator")


@pytest.mark.parametrize(
    "headers",
    [
        bearer(access_token(key=FOREIGN_KEY)),
        bearer(access_token(exp=time.time() - 60)),
        bearer("nonsense"),
        {"Authorization": "Basic YTpi"},
        {**bearer(access_token()), "X-API-Key": KEY},
        {"Cookie": "k1-access=nonsense"},
        {"Cookie": f"k1-access={access_token(key=FOREIGN_KEY)}"},
    ],
)
async def test_bad_credentials_are_refused(
    guest: httpx.AsyncClient, owners: Owners, headers: dict[str, str]
) -> None:
    """The challenge says that the token is at fault."""
    answer = await guest.get("/tracks", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "error=" in answer.headers["WWW-Authenticate"]
    assert owners.received in ([], [GetJwks()])


async def test_unknown_key_ids_do_not_reach_accounts_each_time(
    guest: httpx.AsyncClient, owners: Owners
) -> None:
    """Anyone can send them."""
    for number in range(20):
        token = access_token(header={"kid": f"other-{number}"})
        assert (await guest.get("/tracks", headers=bearer(token))).status_code == 401
    assert owners.received.count(GetJwks()) <= 2, "one for each 5 s"


# ---------------------------------------------------------------- API keys


async def test_a_key_is_verified_once_and_dropped_when_it_is_revoked(
    guest: httpx.AsyncClient, owners: Owners
) -> None:
    """In both headers; its role counts, and the very next request after the message of its revocation is refused."""
    owners.respond_with(KEY_VERIFY.subject, verified_key("viewer"))
    owners.respond_with(TRACK_LIST.subject, samples.page())
    for headers in (bearer(KEY), {"X-API-Key": KEY}, bearer(KEY)):
        assert (await guest.get("/tracks", headers=headers)).status_code == 200
    refused = await guest.post("/tracks/upload", headers=bearer(KEY))
    assert refused.json()["code"] == "role_required"
    asked = [each for each in owners.received if isinstance(each, VerifyKey)]
    assert [each.key for each in asked] == [KEY]
    assert owners.actors[-1] == verified_key("viewer").actor.model_copy(update={"address": "127.0.0.1"})

    owners.respond_with(KEY_VERIFY.subject, QueryError("key_invalid", "The key is not known.", 401))
    await announce(owners, key_ids=[KEY_ID])
    await eventually_refused(guest, bearer(KEY))


async def announce(owners: Owners, **change: Any) -> None:
    body = AccessChanged(user_id=USER, at=datetime.now(UTC), **change)
    await owners.bus.client.publish(ACCESS_CHANGED.subject_for(USER), body.to_json())
    await owners.bus.client.flush()


async def eventually_refused(guest: httpx.AsyncClient, headers: dict[str, str]) -> None:
    async def refused() -> bool:
        return (await guest.get("/tracks", headers=headers)).status_code == 401

    await eventually(refused, "the message has arrived", within_s=5)


async def test_accounts_that_is_away_is_no_bad_credential(guest: httpx.AsyncClient, owners: Owners) -> None:
    """503, so that a client tries again instead of signing in."""
    owners.respond_with(KEY_VERIFY.subject, QueryError("service_unavailable", "Try again.", 503))
    answer = await guest.get("/tracks", headers=bearer("k1_" + "b" * 40))
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


# ---------------------------------------------------------------- streams


async def read_events(guest: httpx.AsyncClient, token: str, on_open: Any = None) -> list[str]:
    lines: list[str] = []
    path = f"/deployments/{samples.DEPLOYMENT}/events"
    async with guest.stream("GET", path, headers=bearer(token)) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            lines.append(line)
            if on_open is not None:
                await on_open()
                on_open = None
    return lines


async def test_a_stream_ends_with_the_session(guest: httpx.AsyncClient, owners: Owners) -> None:
    """At the end of its token, and at once when access is revoked; the last event says so and has no id."""
    owners.respond_with(DEPLOYMENT_GET.subject, samples.deployment(status="staging"))
    lines = await read_events(guest, access_token(exp=time.time() + 1))
    assert lines[0] == "event: deployment"
    assert lines[-3] == "event: session_ended"
    assert json.loads(lines[-2].removeprefix("data: "))["details"] == {"reason": "expired"}

    session = new_id("ses")
    lines = await read_events(
        guest, access_token(sid=session), lambda: announce(owners, session_ids=[session])
    )
    assert json.loads(lines[-2].removeprefix("data: "))["details"] == {"reason": "revoked"}
    await eventually_refused(guest, bearer(access_token(sid=session)))


# ---------------------------------------------------------------- sign-in


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


# ---------------------------------------------------------------- providers


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


# ---------------------------------------------------------------- machines


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


# ---------------------------------------------------------------- limits of several gateways


@pytest.fixture
def pair(provisioned: Infrastructure, tmp_path: Any) -> Iterator[list[RunningService]]:
    """Run two gateways with a small allowance, on one bus."""
    own = {
        "K1_AUTH": "on",
        "K1_GATEWAY_LIMIT_LOOPBACK_FACTOR": "1",
        "K1_GATEWAY_LIMIT_READS": '{"per_minute": 1, "burst": 40, "at_once": 4}',
    }
    environment = provisioned.environment | own
    with (
        running_service("gateway", environment, tmp_path) as first,
        running_service("gateway", environment, tmp_path) as second,
    ):
        yield [first, second]


async def test_two_gateways_share_one_allowance(pair: list[RunningService], owners: Owners) -> None:
    """Together they admit the burst, less what one of them holds unused; another user is not affected."""
    owners.respond_with(TRACK_LIST.subject, samples.page())
    ann, bob = (bearer(access_token(sub=f"usr_{letter * 26}")) for letter in "AB")
    statuses: list[int] = []
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        for number in range(60):
            answer = await http.get(f"{pair[number % 2].url}/api/v1/tracks", headers=ann)
            statuses.append(answer.status_code)
        assert set(statuses) == {200, 429}
        chunk = 40 // 20
        assert 40 - (chunk - 1) <= statuses.count(200) <= 40 + 1, "one may be earned meanwhile"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit-Policy"] == '"reads";q=40;w=2400'
        for running in pair:
            assert (await http.get(f"{running.url}/api/v1/tracks", headers=bob)).status_code == 200


async def test_gateways_count_together_after_the_broker_restarted(own_nats: NatsServer) -> None:
    """What was used before still counts, and the counts are one again."""
    rate = Rate(per_minute=1, burst=3)
    async with connected_client(own_nats.settings) as client:
        assert (await SharedRates(client.jetstream()).take("a", rate, 2)).count == 2
    own_nats.kill()
    await asyncio.to_thread(own_nats.start)
    async with connected_client(own_nats.settings) as client:
        one, other = (SharedRates(client.jetstream()) for _ in range(2))
        assert [(await rates.take("a", rate, 1)).count for rates in (one, other)] == [1, 0]


async def test_without_the_broker_a_gateway_counts_alone(own_nats: NatsServer) -> None:
    """Requests are not refused because of it, and the next attempt to count together comes later."""

    async with connected_client(own_nats.settings, max_reconnect_attempts=-1) as client:
        rates = SharedRates(client.jetstream(timeout=1))
        rate = Rate(per_minute=1, burst=3)
        assert (await rates.take("a", rate, 2)).remaining == 1
        own_nats.kill()
        started = time.monotonic()
        granted = [(await rates.take("a", rate, 1)).count for _ in range(5)]
        assert granted == [1, 1, 1, 0, 0]
        assert time.monotonic() - started < _ALONE_S
