"""Sign-in with a provider, against a real OpenID Connect server that checks PKCE, secret and redirect URI."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from pydantic import SecretStr, ValidationError

from k1_accounts.oauth.github_provider import GitHubProvider
from k1_accounts.oauth.identity import FlowSecrets
from k1_accounts.oauth.oauth_sign_in import OAuthSignIn
from k1_accounts.oauth.providers import make_providers
from k1_accounts.settings import ProviderSettings
from k1_contracts.messages.accounts.authentication import (
    FinishOAuth,
    ListProviders,
    OAuthFinished,
    Register,
    StartOAuth,
)
from k1_contracts.messages.accounts.users import CreateUser, UpdateUser
from k1_platform.nats.queries.rpc import QueryError
from services.accounts.tests.accounts_system import CLIENT, OTHER_PASSWORD, PASSWORD, AccountsSystem
from tests.support.servers.oidc_server import CLIENT_ID, CLIENT_SECRET, OidcServer, running_oidc_server

PUBLIC_URL: Final = "https://k1.example.org"


@pytest.fixture
def oidc() -> Iterator[OidcServer]:
    with running_oidc_server() as server:
        yield server


@pytest.fixture
def oauth(accounts: AccountsSystem, oidc: OidcServer) -> OAuthSignIn:
    """Sign-in with the server, as the settings would name it."""
    secret = SecretStr(CLIENT_SECRET)
    settings = ProviderSettings(
        id="corp", kind="oidc", name="Corp", client_id=CLIENT_ID, client_secret=secret, issuer=oidc.url
    )
    providers = make_providers([settings], accounts.clock)
    return OAuthSignIn(accounts.pool, providers, accounts.sessions, "open", PUBLIC_URL, accounts.clock)


@pytest.fixture(autouse=True)
def real_time(accounts: AccountsSystem) -> None:
    """The server's tokens carry the real time."""
    accounts.clock.now = datetime.now(UTC)


async def begin(oauth: OAuthSignIn, provider: str = "corp") -> FinishOAuth:
    """Begin a sign-in, sign in at the provider, and return what arrives at the callback."""
    started = await oauth.start(StartOAuth(provider=provider, return_to="/tracks?x=1", client=CLIENT))
    async with httpx.AsyncClient(timeout=60) as browser:
        response = await browser.get(started.authorization_url)
    callback = parse_qs(urlsplit(response.headers["Location"]).query)
    assert "error" not in callback, callback
    return FinishOAuth(
        provider=provider,
        browser_token=started.browser_token,
        state=callback["state"][0],
        code=callback["code"][0],
        client=CLIENT,
    )


async def sign_in(oauth: OAuthSignIn) -> OAuthFinished:
    return await oauth.finish(await begin(oauth))


async def refusal(oauth: OAuthSignIn, query: FinishOAuth, reason: str | None = None) -> str:
    with pytest.raises(QueryError, match=reason) as refused:
        await oauth.finish(query)
    return refused.value.code


async def test_someone_new_becomes_a_viewer(
    oauth: OAuthSignIn, accounts: AccountsSystem, oidc: OidcServer
) -> None:
    """The first time the account is made, afterwards the same one is found by the subject, whatever the address."""
    first = await sign_in(oauth)
    oidc.claims |= {"email": "new@example.org", "email_verified": False}
    second = await sign_in(oauth)
    user = first.signed_in.user
    assert (user.email, user.name, user.role, user.providers) == (
        "ada@example.org",
        "Ada",
        "viewer",
        ["corp"],
    )
    assert first.return_to == "/tracks?x=1"
    assert second.signed_in.user.id == user.id
    assert (await oauth.list_providers(ListProviders())).items[0].name == "Corp"
    assert await accounts.rows("SELECT count(*) AS n FROM accounts.users") == [{"n": 1}]


async def test_an_account_is_linked_by_its_verified_address(
    oauth: OAuthSignIn, accounts: AccountsSystem, oidc: OidcServer
) -> None:
    """It keeps its role and its password; an unverified address links nothing."""
    user = await accounts.add_user(role="operator")
    oidc.claims["email_verified"] = False
    assert await refusal(oauth, await begin(oauth)) == "email_not_verified"
    oidc.claims |= {"email": "ADA@example.org", "email_verified": "true"}
    linked = (await sign_in(oauth)).signed_in.user
    assert (linked.id, linked.role) == (user.id, "operator")
    await accounts.login()


async def test_who_signed_up_with_my_address_does_not_get_in(
    oauth: OAuthSignIn, accounts: AccountsSystem
) -> None:
    """The password of an account whose address was never confirmed is removed when the owner comes by a provider."""
    await accounts.registration.register(
        Register(email="ada@example.org", password=PASSWORD, name="Eve", client=CLIENT)
    )
    owner = (await sign_in(oauth)).signed_in.user
    assert (owner.email_verified, owner.has_password) == (True, False)
    with pytest.raises(QueryError):
        await accounts.login()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("state", "not begun in this browser"),
        ("browser", "not begun in this browser"),
        ("replay", "ended before"),
        ("late", "ended before, or took too long"),
        ("code", "provider refused"),
        ("verifier", "provider refused"),
        ("refused", "did not sign you in .access_denied."),
    ],
)
async def test_a_callback_that_does_not_belong_is_refused(
    oauth: OAuthSignIn, accounts: AccountsSystem, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    """Another state or browser, a replay, one that is too late, another code, no proof of the key, a refusal."""
    query = await begin(oauth)
    changed: dict[str, Any] = {
        "state": {"state": (await begin(oauth)).state},
        "browser": {"browser_token": "x" * 43},
        "code": {"code": "wrong"},
        "refused": {"code": None, "error": "access_denied"},
    }.get(fault, {})
    if fault == "replay":
        await oauth.finish(query)
    if fault == "late":
        accounts.clock.advance(minutes=11)
    if fault == "verifier":
        derive = FlowSecrets.derive
        monkeypatch.setattr(
            FlowSecrets, "derive", lambda token: replace(derive(token), code_verifier="y" * 43)
        )
    assert await refusal(oauth, query.model_copy(update=changed), reason) == "oauth_failed"
    assert len(await accounts.rows("SELECT * FROM accounts.sessions")) == (fault == "replay")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda oidc: oidc.claims.update(nonce="another sign-in"), "answered another sign-in"),
        (lambda oidc: oidc.claims.update(iss="https://evil.example.org"), "not valid"),
        (lambda oidc: oidc.claims.update(aud="another program"), "not valid"),
        (lambda oidc: oidc.claims.update(azp="another program"), "for another program"),
        (lambda oidc: oidc.claims.update(exp=1), "not valid"),
        (lambda oidc: _sign_with(oidc, kid="1"), "not valid"),
        (lambda oidc: _sign_with(oidc, kid="2"), "unknown key"),
    ],
    ids=["nonce", "issuer", "audience", "azp", "expired", "forged", "unknown-key"],
)
async def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    oauth: OAuthSignIn,
    oidc: OidcServer,
    accounts: AccountsSystem,
    fault: Callable[[OidcServer], None],
    reason: str,
) -> None:
    """Wrong nonce, issuer, audience or key, or expired: nobody is signed in, and the code is used up."""
    query = await begin(oauth)
    fault(oidc)
    assert await refusal(oauth, query, reason) == "oauth_failed"
    assert await accounts.rows("SELECT * FROM accounts.users") == []


def _sign_with(oidc: OidcServer, kid: str) -> None:
    oidc.signing_key = ECKey.generate_key("P-256", {"kid": kid})


async def test_a_new_key_of_the_provider_is_found(oauth: OAuthSignIn, oidc: OidcServer) -> None:
    """After a rotation the keys are read again."""
    await sign_in(oauth)
    oidc.key = ECKey.generate_key("P-256", {"kid": "2"})
    await sign_in(oauth)


async def test_the_address_may_come_from_userinfo(oauth: OAuthSignIn, oidc: OidcServer) -> None:
    """Where the ID token has none; of another person it is refused."""
    oidc.userinfo = {"sub": "other", **{name: oidc.claims.pop(name) for name in ("email", "email_verified")}}
    assert await refusal(oauth, await begin(oauth)) == "oauth_failed"
    oidc.userinfo["sub"] = oidc.claims["sub"]
    assert (await sign_in(oauth)).signed_in.user.email == "ada@example.org"


async def test_where_sign_up_is_closed_only_the_invited_come_in(
    oauth: OAuthSignIn, accounts: AccountsSystem
) -> None:
    """An invitation is accepted by signing in with the provider; a disabled user stays out."""
    closed = replace(oauth, sign_up="invited")
    assert await refusal(closed, await begin(closed)) == "sign_up_closed"
    invited = await accounts.users.create(CreateUser(email="ada@example.org", name="Ada", role="editor"))
    user = (await sign_in(closed)).signed_in.user
    assert (user.id, user.role) == (invited.id, "editor")
    await accounts.users.update(UpdateUser(user_id=user.id, disabled=True))
    assert await refusal(closed, await begin(closed)) == "account_disabled"


async def test_a_provider_that_is_away_is_named(accounts: AccountsSystem, oauth: OAuthSignIn) -> None:
    """503, so that the person tries again or signs in otherwise; an unknown provider is 404."""
    settings = ProviderSettings(
        id="away", kind="oidc", client_id="k1", client_secret=SecretStr("s"), issuer="http://127.0.0.1:1"
    )
    away = replace(oauth, providers=make_providers([settings], accounts.clock))
    codes = []
    for provider in ("away", "corp"):
        with pytest.raises(QueryError) as refused:
            await away.start(StartOAuth(provider=provider))
        codes.append((refused.value.code, refused.value.status))
    assert codes == [("provider_unavailable", 503), ("provider_not_found", 404)]


async def test_github_names_its_primary_address(oauth: OAuthSignIn, oidc: OidcServer) -> None:
    """GitHub has no ID token: the address comes from its API, and only a verified one counts."""
    github = GitHubProvider("github", "GitHub", CLIENT_ID, CLIENT_SECRET, oidc.url, oidc.url)
    by_github = replace(oauth, providers={"github": github})
    started = await by_github.start(StartOAuth(provider="github"))
    asked = parse_qs(urlsplit(started.authorization_url).query)
    assert asked["code_challenge_method"] == ["S256"]
    query = FinishOAuth(
        provider="github",
        browser_token=started.browser_token,
        state=asked["state"][0],
        code="right",
        client=CLIENT,
    )
    signed_in = (await by_github.finish(query)).signed_in
    assert (signed_in.user.email, signed_in.user.name) == ("ada@example.org", "ada")
    again = await by_github.start(StartOAuth(provider="github"))
    state = parse_qs(urlsplit(again.authorization_url).query)["state"][0]
    wrong = query.model_copy(update={"browser_token": again.browser_token, "state": state, "code": "wrong"})
    assert await refusal(by_github, wrong) == "oauth_failed"


async def test_no_secret_of_a_sign_in_is_stored(oauth: OAuthSignIn, accounts: AccountsSystem) -> None:
    """The state, nonce and verifier can be had from the browser's token only."""
    started = await oauth.start(StartOAuth(provider="corp"))
    secrets = FlowSecrets.derive(started.browser_token)
    stored = str(await accounts.rows("SELECT t::text FROM accounts.oauth_flows t"))
    for secret in (
        started.browser_token,
        secrets.state,
        secrets.nonce,
        secrets.code_verifier,
        OTHER_PASSWORD,
    ):
        assert secret not in stored
        assert secret.encode().hex() not in stored


def test_settings_of_a_provider() -> None:
    """An OpenID Connect provider needs an issuer with TLS; the presets have their own."""
    given = {"id": "corp", "client_id": "k1", "client_secret": "s"}
    for wrong in (
        {"kind": "oidc"},
        {"kind": "oidc", "issuer": "http://corp"},
        {"kind": "google", "issuer": "https://x"},
    ):
        with pytest.raises(ValidationError):
            ProviderSettings.model_validate(given | wrong)
    ProviderSettings.model_validate(given | {"kind": "oidc", "issuer": "https://corp.example.org"})
