"""Finding and verifying credentials, without a server."""

import asyncio
import base64
import contextlib
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from k1_contracts.messages.accounts.users import AccessChanged
from k1_gateway.access.cookies import Cookies
from k1_gateway.access.credentials import ApiKey, CredentialError, Token, find_credential
from k1_gateway.access.identity import Identity
from k1_gateway.access.machine_tokens import MachineTokens, highest_role
from k1_gateway.access.revocations import Revocations
from k1_gateway.access.tokens import TokenError, import_keys, read_unverified
from k1_gateway.access.user_tokens import UserTokens
from k1_gateway.settings import GatewaySettings, OidcIssuer
from services.gateway.tests.tokens import FOREIGN_KEY, JWKS, KEY, USER, access_token

NOW = time.time()


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def fetch() -> Any:
    return JWKS


async def identify(token: str, revocations: Revocations | None = None) -> Identity:
    users = UserTokens(fetch, revocations or Revocations())
    return await users.identify(token, read_unverified(token), "192.0.2.1")


def unsigned() -> str:
    _, claims, _ = access_token().split(".")
    return f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': JWKS.keys[0].kid})}.{claims}."


def signed_with_the_public_key() -> str:
    """Return a token whose HMAC uses the public key as the secret, which a verifier might be tricked into."""
    secret = OctKey.import_key(json.dumps(KEY.as_dict(private=False)))
    return access_token(key=secret, header={"alg": "HS256"})


def changed_claims() -> str:
    head, claims, signature = access_token().split(".")
    value = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{head}.{part({**value, 'role': 'admin'})}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        unsigned(),
        signed_with_the_public_key(),
        changed_claims(),
        access_token(key=FOREIGN_KEY),
        access_token(header={"kid": "another"}),
        access_token(header={"typ": "JWT"}),
        access_token(aud="other"),
        access_token(aud=[]),
        access_token(iss="https://evil.example"),
        access_token(exp=NOW - 60),
        access_token(exp="tomorrow"),
        access_token(exp=float("inf")),
        access_token(nbf=NOW + 600_000),
        access_token(iat=NOW + 600_000),
        access_token(role="root"),
        access_token(sid=7),
        access_token(sub=""),
        access_token(name="x" * 201),
        *(access_token(without=name) for name in ("exp", "iat", "aud", "iss", "sub", "sid", "role", "name")),
        access_token()[:-1],
        access_token() + "A",
        access_token().rpartition(".")[0],
        "a.b.c",
        "...",
    ],
)
async def test_a_token_that_accounts_did_not_sign_for_now_is_refused(token: str) -> None:
    """The algorithm, the key, each claim and each byte count."""
    with pytest.raises(TokenError):
        await identify(token)


async def test_a_good_token_names_its_user() -> None:
    """A key that was fetched is not fetched again."""
    identity = await identify(access_token("operator", exp=NOW + 3600))
    assert (identity.actor.id, identity.actor.name, identity.actor.role) == (USER, "Ann", "operator")
    assert identity.actor.address == "192.0.2.1"
    assert identity.expires_at_s == NOW + 3600


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda raw: raw.decode("latin1")))
def test_any_text_as_a_token(text: str) -> None:
    """Nothing but TokenError is raised."""
    with pytest.raises(TokenError):
        asyncio.run(identify(text))


WHOLE = access_token()


@given(st.integers(0, len(WHOLE) - 2), st.sampled_from("ABCdef012-_.~"))
def test_a_token_with_one_changed_character(at: int, other: str) -> None:
    """It is refused. Only the last character has bits that base64 does not use."""
    if WHOLE[at] != other:
        with pytest.raises(TokenError):
            asyncio.run(identify(WHOLE[:at] + other + WHOLE[at + 1 :]))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["keys", "kty", "issuer"]), JSON) | st.just({"keys": [{"kty": "OKP"}]})
)
def test_any_key_set(key_set: dict[str, Any]) -> None:
    """Keys that cannot be used are left out."""
    assert import_keys(key_set) == {}


# ---------------------------------------------------------------- finding the credential

HEADER = st.text(st.characters(codec="latin1"), max_size=60)


@given(st.lists(HEADER, max_size=2), st.lists(HEADER, max_size=2), st.text(max_size=30))
def test_any_headers(authorization: list[str], keys: list[str], cookie: str) -> None:
    """They give a credential, none, or CredentialError; a credential has only characters of tokens."""
    try:
        found = find_credential(authorization, keys, {"c": cookie}, "c")
    except CredentialError:
        return
    if found is None:
        assert not authorization
        assert not keys
    else:
        assert found.text.isascii()
        assert " " not in found.text


def test_headers_come_before_the_cookie() -> None:
    """A token of a header is not one of a cookie, whatever the cookie holds."""
    cookies = {"c": "aa.bb.cc"}
    assert find_credential(["bEaReR  xx.yy.zz "], [], cookies, "c") == Token("xx.yy.zz")
    assert find_credential(["Bearer k1_abc"], [], cookies, "c") == ApiKey("k1_abc")
    assert find_credential([], ["k1_abc"], cookies, "c") == ApiKey("k1_abc")
    assert find_credential([], [], cookies, "c") == Token("aa.bb.cc", by_cookie=True)
    assert find_credential([], [], {"d": "x"}, "c") is None


@pytest.mark.parametrize(
    ("authorization", "keys"),
    [
        (["Basic YTpi"], []),
        (["Bearer"], []),
        (["Bearer a b"], []),
        (["Bearer " + "a" * 8001], []),
        (["Bearer a", "Bearer b"], []),
        (["Bearer k1_a"], ["k1_a"]),
        ([], ["other"]),
        ([], [""]),
    ],
)
def test_unclear_credentials_are_refused(authorization: list[str], keys: list[str]) -> None:
    """Two of them, or one in another form, are an error even if there is a cookie."""
    with pytest.raises(CredentialError):
        find_credential(authorization, keys, {"c": "aa.bb.cc"}, "c")


# ---------------------------------------------------------------- revocation


def change(**fields: Any) -> AccessChanged:
    return AccessChanged(**{"user_id": USER, "at": datetime.now(UTC), **fields})


async def test_revoked_tokens_are_refused() -> None:
    """By session, or by the time before which the tokens of a user were issued; later ones are valid."""
    revocations = Revocations()
    session = "ses_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD"
    revocations.apply(change(session_ids=[session]))
    with pytest.raises(TokenError):
        await identify(access_token(sid=session), revocations)
    await identify(access_token(), revocations)
    revocations.apply(change(tokens_before=datetime.fromtimestamp(NOW, UTC)))
    with pytest.raises(TokenError):
        await identify(access_token(iat=NOW - 0.002), revocations)
    await identify(access_token(iat=NOW + 0.002), revocations)


def test_old_revocations_are_forgotten() -> None:
    """After the lifetime of every token that they could refuse; an earlier change does not undo a later one."""
    clock = [NOW]
    revocations = Revocations(lambda: clock[0])
    late, early = (datetime.fromtimestamp(NOW - ago, UTC) for ago in (0, 100))
    revocations.apply(change(tokens_before=late, at=late))
    revocations.apply(change(tokens_before=early, at=late))
    user = Identity(actor_of_user(), issued_at_s=NOW - 50)
    assert revocations.is_revoked(user)
    clock[0] = NOW + 2000
    revocations.apply(AccessChanged(user_id="usr_" + "0" * 26, at=datetime.fromtimestamp(clock[0], UTC)))
    assert not revocations.is_revoked(user)


def actor_of_user() -> Any:
    return asyncio.run(identify(access_token())).actor


# ---------------------------------------------------------------- machines

RSA = RSAKey.generate_key(2048, {"kid": "m1"})
MACHINES = OidcIssuer(
    issuer="https://id.example",
    jwks_url="https://id.example/keys",
    audience="k1",
    role_claim="realm.roles",
    roles={"k1-edit": "editor", "k1-op": "operator"},
)


def machine_token(**claims: Any) -> str:
    whole = {
        "iss": MACHINES.issuer,
        "aud": ["other", "k1"],
        "sub": "m-1",
        "client_id": "lights",
        "iat": NOW,
        "exp": NOW + 3600,
        "realm": {"roles": ["k1-edit", "x", "k1-op"]},
        **claims,
    }
    return jwt.encode({"alg": "RS256", "kid": "m1"}, whole, RSA, algorithms=["RS256"])


async def test_a_machine_has_the_highest_role_that_its_claim_maps_to() -> None:
    """It needs the audience and one role."""

    async def fetch_keys(_url: str) -> Any:
        return {"keys": [RSA.as_dict(private=False), {"kty": "oct", "kid": "s", "k": "c2VjcmV0"}]}

    machines = MachineTokens(MACHINES, fetch_keys)

    async def actor(token: str) -> Any:
        return (await machines.identify(token, read_unverified(token), None)).actor

    found = await actor(machine_token())
    assert (found.kind, found.id, found.name, found.role) == ("machine", "m-1", "lights", "operator")
    for bad in ({"aud": "other"}, {"realm": {"roles": ["x"]}}, {"realm": "k1-op"}, {"exp": NOW - 60}):
        with pytest.raises(TokenError):
            await actor(machine_token(**bad))


@given(st.dictionaries(st.sampled_from(["realm", "roles"]), JSON))
def test_any_role_claim(claims: dict[str, Any]) -> None:
    """It gives a role or TokenError."""
    for path in ("realm", "realm.roles", "roles.roles"):
        with contextlib.suppress(TokenError):
            assert highest_role(claims, path, {"A": "editor"}) == "editor"


def test_scopes_separated_by_spaces_are_roles_too() -> None:
    """As in the claim `scope` of OAuth 2."""
    assert highest_role({"scope": "openid k1:edit"}, "scope", {"k1:edit": "editor"}) == "editor"


# ---------------------------------------------------------------- settings and cookies


def test_sign_in_is_off_on_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway refuses to start otherwise."""
    monkeypatch.setenv("K1_AUTH", "off")
    for host in ("127.0.0.1", "127.0.0.3", "::1", "localhost"):
        assert GatewaySettings(host=host).auth == "off"
    for host in ("0.0.0.0", "::", "192.0.2.1", "k1.example"):
        with pytest.raises(ValueError, match="K1_AUTH=off"):
            GatewaySettings(host=host)
    monkeypatch.delenv("K1_AUTH")
    assert GatewaySettings(host="0.0.0.0").auth == "on"


def test_cookies_over_tls_are_bound_to_the_host() -> None:
    """`__Host-` needs Secure, the path / and no domain; scripts cannot read them, other sites not send them."""
    cookies, response = Cookies(secure=True), web.Response()
    cookies.set(response, cookies.access, "x", datetime(2026, 1, 31, tzinfo=UTC))
    (morsel,) = response.cookies.values()
    text = morsel.OutputString()
    assert text.startswith("__Host-k1-access=x; ")
    assert set(text.split("; ")[1:]) == {
        "expires=Sat, 31 Jan 2026 00:00:00 GMT",
        "HttpOnly",
        "Path=/",
        "SameSite=Strict",
        "Secure",
    }
    assert GatewaySettings(public_url="https://k1.example").secure_cookies
    assert not GatewaySettings().secure_cookies
