"""A browser signs in with an OpenID Connect provider: the real provider, accounts and gateway, and its cookies."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.cookiejar import Cookie
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from k1_accounts.migrate import migrate
from k1_platform.settings import PostgresSettings
from tests.support.infrastructure import Infrastructure
from tests.support.servers.oidc_server import CLIENT_ID, CLIENT_SECRET, OidcServer, running_oidc_server
from tests.support.service_process import running_service
from tests.support.waiting import PATIENCE_S, eventually

CSRF = {"X-K1-CSRF": "1"}


@dataclass(frozen=True)
class Site:
    """The gateway, and the provider that it signs people in with: another site."""

    url: str
    provider: OidcServer

    @property
    def api(self) -> str:
        return f"{self.url}/api/v1"


@pytest.fixture(scope="module")
def site(provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the three; accounts knows the provider by its settings."""
    asyncio.run(migrate(PostgresSettings()))
    folder = tmp_path_factory.mktemp("sign-in")
    environment = provisioned.environment | {"K1_AUTH": "on"}
    with (
        running_oidc_server("localhost") as provider,
        running_service("gateway", environment, folder) as gateway,
    ):
        provider.redirect_uri = f"{gateway.url}/api/v1/auth/oauth/corp/callback"
        given = {"id": "corp", "kind": "oidc", "issuer": provider.url}
        secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        own = {
            "K1_ACCOUNTS_KEYS": str(folder / "keys"),
            "K1_ACCOUNTS_PUBLIC_URL": gateway.url,
            "K1_ACCOUNTS_SIGN_UP": "open",
            "K1_ACCOUNTS_PROVIDERS": json.dumps([given | secrets]),
        }
        with running_service("accounts", environment | own, folder):
            yield Site(gateway.url, provider)


@dataclass
class Browser:
    """Keeps cookies, and sends those that are `Strict` only to the site that it is on (RFC 6265bis)."""

    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE_S))

    @property
    def cookies(self) -> dict[str, Cookie]:
        return {cookie.name: cookie for cookie in self.http.cookies.jar}

    async def follow(self, url: str, *, coming_from: str = "") -> httpx.Response:
        """Open a page of another site, or one of the same."""
        kept = list(self.http.cookies.jar)
        if coming_from and urlsplit(coming_from).hostname != urlsplit(url).hostname:
            for cookie in kept:
                if same_site(cookie) == "Strict":
                    self.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
        response = await self.http.get(url)
        for cookie in kept:
            # A response that sets or removes a Strict cookie, as the callback does, has the last word.
            if same_site(cookie) == "Strict" and not _names(response, cookie.name):
                self.http.cookies.jar.set_cookie(cookie)
        return response

    async def reach_callback(self, site: Site) -> str:
        """Begin a sign-in and sign in at the provider; return the address that it sends the browser to."""
        begun = await self.follow(f"{site.api}/auth/oauth/corp?return_to=/tracks")
        assert begun.status_code == 302, begun.text
        at_provider = await self.follow(begun.headers["Location"], coming_from=site.url)
        assert at_provider.status_code == 302, at_provider.text
        return at_provider.headers["Location"]

    async def sign_in(self, site: Site) -> httpx.Response:
        """Return what the callback answers."""
        return await self.follow(await self.reach_callback(site), coming_from=site.provider.url)


def same_site(cookie: Cookie) -> str | None:
    return cookie.get_nonstandard_attr("SameSite")


def _names(response: httpx.Response, name: str) -> bool:
    return any(each.startswith(f"{name}=") for each in response.headers.get_list("Set-Cookie"))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    browser = Browser()
    async with browser.http:
        yield browser


async def test_from_the_provider_to_a_change_by_cookie(site: Site, browser: Browser) -> None:
    """Code flow with PKCE, cookies that no script reads, changes only with the CSRF header, and out again."""
    providers = (await browser.http.get(f"{site.api}/auth/providers")).json()["items"]
    assert [each["id"] for each in providers] == ["corp"]
    begun = await browser.follow(f"{site.api}/auth/oauth/corp?return_to=/tracks")
    asked = parse_qs(urlsplit(begun.headers["Location"]).query)
    assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
    assert asked["redirect_uri"] == [site.provider.redirect_uri]
    assert same_site(browser.cookies["k1-oauth"]) == "Lax"

    signed_in = await browser.sign_in(site)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (302, "/tracks")
    assert set(browser.cookies) == {"k1-access", "k1-refresh"}
    for cookie in browser.cookies.values():
        assert same_site(cookie) == "Strict"
        assert cookie.has_nonstandard_attr("HttpOnly")
    me = (await browser.http.get(f"{site.api}/me")).json()
    assert (me["email"], me["role"], me["providers"]) == ("ada@example.org", "viewer", ["corp"])

    without = await browser.http.patch(f"{site.api}/me", json={"name": "Eve"})
    assert (without.status_code, without.json()["code"]) == (403, "csrf_header_required")
    changed = await browser.http.patch(f"{site.api}/me", json={"name": "Ada L."}, headers=CSRF)
    assert (changed.status_code, changed.json()["name"]) == (200, "Ada L.")

    first = browser.cookies["k1-refresh"].value
    refreshed = await browser.http.post(f"{site.api}/auth/refresh", headers=CSRF)
    assert (refreshed.status_code, browser.cookies["k1-refresh"].value == first) == (200, False)
    access = browser.cookies["k1-access"].value
    out = await browser.http.post(f"{site.api}/auth/logout", headers=CSRF)
    assert (out.status_code, browser.cookies) == (204, {})

    async def is_refused() -> bool:
        stolen = await browser.http.get(f"{site.api}/me", headers={"Authorization": f"Bearer {access}"})
        return stolen.status_code == 401

    await eventually(is_refused, "the access token of the ended session is refused")


async def test_a_sign_in_works_once_and_in_its_browser_only(site: Site, browser: Browser) -> None:
    """Nobody signs a victim in as the attacker by a link, and a callback that was used is worth nothing."""
    victim = Browser()
    async with victim.http:
        await victim.reach_callback(site)
        lured = await victim.follow(await browser.reach_callback(site), coming_from="https://evil.example")
        assert lured.headers["Location"] == "/sign-in?error=oauth_failed"
        assert not victim.cookies.keys() & {"k1-access", "k1-refresh"}
    callback = await browser.reach_callback(site)
    assert (await browser.follow(callback, coming_from=site.provider.url)).headers["Location"] == "/tracks"
    again = await browser.follow(callback, coming_from=site.provider.url)
    assert again.headers["Location"] == "/sign-in?error=oauth_failed"


async def test_a_stolen_code_is_worth_nothing_without_its_verifier(site: Site, browser: Browser) -> None:
    """Also for someone who knows the secret of the client (RFC 7636)."""
    code = parse_qs(urlsplit(await browser.reach_callback(site)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": site.provider.redirect_uri}
    async with httpx.AsyncClient(auth=(CLIENT_ID, CLIENT_SECRET), timeout=PATIENCE_S) as thief:
        without = await thief.post(f"{site.provider.url}/token", data=form)
        wrong = await thief.post(f"{site.provider.url}/token", data=form | {"code_verifier": "v" * 43})
    assert (without.json()["error"], wrong.json()["error"]) == ("invalid_request", "invalid_grant")
