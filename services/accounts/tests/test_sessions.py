"""Sessions: access tokens, the rotation of refresh tokens, reuse, and the end of sessions."""

import asyncio
import json
from pathlib import Path

import jwt
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_accounts.bootstrap import bootstrap
from k1_accounts.sessions.access_tokens import AccessTokenIssuer
from k1_accounts.sessions.session_service import GRACE, LIFETIME
from k1_contracts.messages.accounts.authentication import (
    ForgotPassword,
    GetJwks,
    Login,
    Logout,
    Refresh,
    Register,
    SignedIn,
)
from k1_contracts.messages.accounts.users import (
    ACCESS_CHANGED,
    AccessChanged,
    CreateKey,
    ListRevocations,
    ListSessions,
    RevokeSessions,
)
from k1_platform.auth.signing import add_key, ensure_key, load_keys
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from services.accounts.tests.accounts_system import CLIENT, OTHER_PASSWORD, PASSWORD, AccountsSystem, actor_of


async def refresh(accounts: AccountsSystem, token: str) -> SignedIn:
    return await accounts.sessions.refresh(Refresh(refresh_token=token, client=CLIENT))


async def test_an_access_token_is_verified_by_the_published_keys(accounts: AccountsSystem) -> None:
    """The JWKS alone verifies it, and it says who and in which role; no other algorithm is accepted."""
    user = await accounts.add_user(role="editor")
    signed_in = await accounts.login()
    jwks = await accounts.session_queries.get_jwks(GetJwks())
    header = jwt.get_unverified_header(signed_in.access_token)
    key = jwt.PyJWKSet.from_dict(jwks.model_dump())[header["kid"]]
    claims = jwt.decode(
        signed_in.access_token,
        key,
        algorithms=["EdDSA"],
        audience="k1",
        issuer=jwks.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert header["typ"] == "at+jwt"
    assert (claims["sub"], claims["role"], claims["sid"]) == (user.id, "editor", signed_in.session_id)
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert signed_in.access_expires_at.timestamp() == claims["exp"]


def test_a_new_key_signs_and_the_old_one_stays_published(tmp_path: Path) -> None:
    """After a rotation tokens that the earlier key signed can still be verified."""
    ensure_key(tmp_path)
    before = AccessTokenIssuer(load_keys(tmp_path), "k1").jwks.keys
    add_key(tmp_path)
    after = AccessTokenIssuer(load_keys(tmp_path), "k1").jwks.keys
    assert [key.kid for key in after[1:]] == [key.kid for key in before]
    assert after[0].kid != before[0].kid


async def test_a_refresh_token_rotates(accounts: AccountsSystem) -> None:
    """Each exchange gives another token of the same session, with the user as it is then."""
    await accounts.add_user()
    first = await accounts.login()
    await accounts.pool.execute("UPDATE accounts.users SET role = 'operator'")
    second = await refresh(accounts, first.refresh_token)
    third = await refresh(accounts, second.refresh_token)
    assert first.session_id == second.session_id == third.session_id
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert third.user.role == "operator"


async def test_reuse_ends_the_whole_family(accounts: AccountsSystem, nats_client: Client) -> None:
    """A token that was exchanged before is refused, and so is the newest of its family; gateways hear of it."""
    user = await accounts.add_user()
    heard: asyncio.Queue[Msg] = asyncio.Queue()
    await nats_client.subscribe(ACCESS_CHANGED.subject_for(user.id), cb=heard.put)
    await nats_client.flush()
    stolen = (await accounts.login()).refresh_token
    newest = await refresh(accounts, stolen)
    accounts.clock.advance(seconds=GRACE.total_seconds() + 1)
    with pytest.raises(QueryError) as reused:
        await refresh(accounts, stolen)
    with pytest.raises(QueryError) as ended:
        await refresh(accounts, newest.refresh_token)
    assert (reused.value.code, ended.value.code) == ("refresh_token_reused", "session_ended")
    change = AccessChanged.model_validate_json((await asyncio.wait_for(heard.get(), 60)).data)
    assert change.session_ids == [newest.session_id]
    assert (await accounts.revocations.list_revocations(ListRevocations())).items == [change]
    assert await accounts.rows(
        "SELECT address FROM accounts.audit WHERE action = 'refresh_token_reused'"
    ) == [{"address": CLIENT.address}]


async def test_two_tabs_may_refresh_at_once(accounts: AccountsSystem) -> None:
    """Two exchanges of one token at the same time both give tokens that work; a flood of them is a reuse."""
    await accounts.add_user()
    token = (await accounts.login()).refresh_token
    both = await asyncio.gather(refresh(accounts, token), refresh(accounts, token))
    assert both[0].refresh_token != both[1].refresh_token
    for each in both:
        await refresh(accounts, each.refresh_token)
    outcomes = await asyncio.gather(*(refresh(accounts, token) for _ in range(8)), return_exceptions=True)
    refused = [each.code for each in outcomes if isinstance(each, QueryError)]
    assert "refresh_token_reused" in refused
    assert len(outcomes) - len(refused) == 3


async def test_an_unused_session_expires(accounts: AccountsSystem) -> None:
    """After seven days without use; a used one lives on."""
    await accounts.add_user()
    used, unused = await accounts.login(), await accounts.login()
    accounts.clock.advance(days=6)
    used = await refresh(accounts, used.refresh_token)
    accounts.clock.advance(days=2)
    await refresh(accounts, used.refresh_token)
    with pytest.raises(QueryError, match="has ended"):
        await refresh(accounts, unused.refresh_token)
    assert LIFETIME.days == 7


async def test_logout_ends_one_session(accounts: AccountsSystem) -> None:
    """The other one goes on; signing out again is no error, and a stranger's session id has no effect."""
    user, stranger = await accounts.add_user(), await accounts.add_user("eve@example.org")
    one, other = await accounts.login(), await accounts.login()
    with acting_as(actor_of(stranger)):
        await accounts.sessions.logout(Logout(session_id=other.session_id))
    for _ in range(2):
        await accounts.sessions.logout(Logout(refresh_token=one.refresh_token, client=CLIENT))
    with pytest.raises(QueryError):
        await refresh(accounts, one.refresh_token)
    await refresh(accounts, other.refresh_token)
    with acting_as(actor_of(user)):
        page = await accounts.session_queries.list_sessions(ListSessions(session_id=other.session_id))
    assert [(each.id, each.current) for each in page.items] == [(other.session_id, True)]


async def test_sessions_are_listed_by_pages_and_revoked(accounts: AccountsSystem) -> None:
    """Pages cover every session once; all but the own one end together; others' sessions are not found."""
    user, stranger = await accounts.add_user(), await accounts.add_user("eve@example.org")
    sessions = [await accounts.login() for _ in range(5)]
    own = sessions[2]
    with acting_as(actor_of(user)):
        seen, cursor = [], None
        while True:
            page = await accounts.session_queries.list_sessions(ListSessions(limit=2, cursor=cursor))
            assert page.total == 5
            seen += [each.id for each in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert sorted(seen) == sorted(each.session_id for each in sessions)
        with pytest.raises(QueryError) as unknown_cursor:
            await accounts.session_queries.list_sessions(ListSessions(cursor="nonsense"))
        await accounts.session_queries.revoke(RevokeSessions(session_id=own.session_id))
    with acting_as(actor_of(stranger)), pytest.raises(QueryError) as not_found:
        await accounts.session_queries.revoke(RevokeSessions(revoked=own.session_id))
    assert (unknown_cursor.value.code, not_found.value.code) == ("invalid_cursor", "session_not_found")
    await refresh(accounts, own.refresh_token)
    with pytest.raises(QueryError):
        await refresh(accounts, sessions[0].refresh_token)


async def test_no_column_holds_a_secret(accounts: AccountsSystem) -> None:
    """Neither passwords nor tokens nor keys stand in any column of any table, as text or as bytes."""
    user = await accounts.add_user(role="admin")
    signed_in = await accounts.login()
    again = await refresh(accounts, signed_in.refresh_token)
    with acting_as(actor_of(user)):
        key = (await accounts.keys.create(CreateKey(name="build", role="admin"))).secret
    await accounts.registration.register(
        Register(email="bob@example.org", password=OTHER_PASSWORD, name="Bob", client=CLIENT)
    )
    await accounts.deliver()
    verify = accounts.mailbox.token()
    await accounts.recovery.forgot(ForgotPassword(email="ada@example.org", client=CLIENT))
    await accounts.deliver()
    async with accounts.pool.acquire() as connection:
        link = (await bootstrap(connection, "x@example.org", None, accounts.clock())).link_token
    wrong = "not the right password"
    with pytest.raises(QueryError):
        await accounts.passwords.login(Login(email="ada@example.org", password=wrong, client=CLIENT))
    secrets = [PASSWORD, OTHER_PASSWORD, wrong, key, verify, accounts.mailbox.token(), link]
    secrets += [signed_in.refresh_token, again.refresh_token, signed_in.access_token]
    tables = await accounts.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'accounts'")
    stored = {
        each["tablename"]: await accounts.rows(f"SELECT t::text AS row FROM accounts.{each['tablename']} t")
        for each in tables
    }
    assert sum(map(len, stored.values())) > 15
    text = json.dumps(stored)
    forms = [form for secret in secrets for form in (secret, secret.encode().hex())]
    assert [form for form in forms if form in text] == []
