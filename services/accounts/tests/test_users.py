"""Users: administrators, the last of them, profiles, and what happens to access when a user changes."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from k1_accounts.bootstrap import bootstrap
from k1_accounts.sessions.access_tokens import LIFETIME
from k1_accounts.sessions.store import delete_old
from k1_contracts.messages.accounts.authentication import Refresh, ResetPassword, SignInByLink
from k1_contracts.messages.accounts.users import (
    CreateKey,
    CreateUser,
    DeleteUser,
    GetMe,
    ListApiKeys,
    ListRevocations,
    ListUsers,
    RevokeKey,
    UpdateMe,
    UpdateUser,
    UserView,
    VerifyKey,
)
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from services.accounts.tests.accounts_system import CLIENT, OTHER_PASSWORD, PASSWORD, AccountsSystem, actor_of
from tests.support.waiting import eventually


async def test_the_last_admin_stays_also_when_two_leave_at_once(accounts: AccountsSystem) -> None:
    """Of two administrators who demote, disable or delete each other at the same time exactly one remains."""
    for number in range(9):
        await accounts.pool.execute("DELETE FROM accounts.users")
        one = await accounts.add_user(f"one{number}@example.org", "admin", password=None)
        two = await accounts.add_user(f"two{number}@example.org", "admin", password=None)
        outcomes = await asyncio.gather(
            _leave(accounts, one, number % 3), _leave(accounts, two, number // 3), return_exceptions=True
        )
        refused = [each.code for each in outcomes if isinstance(each, QueryError)]
        assert refused == ["last_admin"]
        remaining = "SELECT count(*) AS n FROM accounts.users WHERE role = 'admin' AND disabled_at IS NULL"
        assert await accounts.rows(remaining) == [{"n": 1}]


async def _leave(accounts: AccountsSystem, user: UserView, how: int) -> object:
    if how == 0:
        return await accounts.users.update(UpdateUser(user_id=user.id, role="editor"))
    if how == 1:
        return await accounts.users.update(UpdateUser(user_id=user.id, disabled=True))
    return await accounts.users.delete(DeleteUser(user_id=user.id))


async def test_an_admin_who_never_accepted_does_not_count(accounts: AccountsSystem) -> None:
    """An invited administrator cannot sign in yet, so the other one is still the last."""
    admin = await accounts.add_user("one@example.org", "admin")
    await accounts.users.create(CreateUser(email="two@example.org", name="Two", role="admin"))
    with pytest.raises(QueryError) as refused:
        await accounts.users.delete(DeleteUser(user_id=admin.id))
    assert refused.value.code == "last_admin"


async def test_an_invitation_sets_the_password_once(accounts: AccountsSystem) -> None:
    """Its link works once and gives the role of the invitation; the address is invited once, whatever its case."""
    invited = await accounts.users.create(CreateUser(email="Bob@Example.org", name="Bob", role="operator"))
    with pytest.raises(QueryError) as taken:
        await accounts.users.create(CreateUser(email="bob@example.ORG", name="Bob"))
    await accounts.deliver()
    token = accounts.mailbox.token()
    assert "https://k1.example.org/accept?token=" in accounts.mailbox.messages[-1].get_content()
    with pytest.raises(QueryError) as weak:
        await accounts.recovery.reset(ResetPassword(token=token, new_password="password12"))
    await accounts.recovery.reset(ResetPassword(token=token, new_password=OTHER_PASSWORD))
    with pytest.raises(QueryError) as used:
        await accounts.recovery.reset(ResetPassword(token=token, new_password=OTHER_PASSWORD))
    assert [each.value.code for each in (taken, weak, used)] == [
        "user_exists",
        "weak_password",
        "token_invalid",
    ]
    signed_in = await accounts.login("bob@example.org", OTHER_PASSWORD)
    assert (signed_in.user.id, signed_in.user.role) == (invited.id, "operator")


async def test_a_disabled_user_is_out_at_once(accounts: AccountsSystem) -> None:
    """Sessions and keys end, gateways are told, and nothing signs in until the user is enabled again."""
    await accounts.add_user("admin@example.org", "admin")
    user = await accounts.add_user()
    signed_in = await accounts.login()
    with acting_as(actor_of(user)):
        key = await accounts.keys.create(CreateKey(name="build"))
    disabled = await accounts.users.update(UpdateUser(user_id=user.id, disabled=True))
    refusals = []
    for attempt in (
        accounts.login(),
        accounts.sessions.refresh(Refresh(refresh_token=signed_in.refresh_token)),
        accounts.keys.verify(VerifyKey(key=key.secret)),
    ):
        with pytest.raises(QueryError) as refused:
            await attempt
        refusals.append(refused.value.code)
    assert disabled.disabled
    assert refusals == ["sign_in_failed", "session_ended", "key_invalid"]
    told = (await accounts.revocations.list_revocations(ListRevocations())).items
    assert [(each.tokens_before, each.session_ids) for each in told] == [
        (accounts.clock(), []),
        (None, [signed_in.session_id]),
    ]
    accounts.clock.advance(minutes=17)
    assert (await accounts.revocations.list_revocations(ListRevocations())).items == []
    await accounts.users.update(UpdateUser(user_id=user.id, disabled=False))
    assert (await accounts.login()).user.id == user.id


async def test_no_token_outlives_a_change_of_role_that_meets_it(accounts: AccountsSystem) -> None:
    """A refresh that waits for the change gives the new role; a change that waits for a refresh is the later one."""
    user = await accounts.add_user()
    token = (await accounts.login()).refresh_token
    async with accounts.pool.acquire() as other, other.transaction():
        await other.execute("UPDATE accounts.users SET role = 'operator'")
        refreshing = asyncio.create_task(accounts.sessions.refresh(Refresh(refresh_token=token)))
        await _wait_until_blocked(accounts)
        accounts.clock.advance(seconds=5)
    refreshed = await refreshing
    assert (refreshed.user.role, refreshed.access_expires_at) == ("operator", accounts.clock() + LIFETIME)
    async with accounts.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM accounts.users FOR UPDATE")
        changing = asyncio.create_task(accounts.users.update(UpdateUser(user_id=user.id, role="editor")))
        await _wait_until_blocked(accounts)
        accounts.clock.advance(seconds=5)
    await changing
    (told,) = (await accounts.revocations.list_revocations(ListRevocations())).items
    assert told.tokens_before == accounts.clock()


async def _wait_until_blocked(accounts: AccountsSystem) -> None:
    async def blocked() -> bool:
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(await accounts.rows(waiting))

    await eventually(blocked, "the other transaction waits for the lock")


async def test_users_are_searched_and_listed_by_pages(accounts: AccountsSystem) -> None:
    """Pages cover every user once; search is by parts of name and address, and takes its text literally."""
    users = [await accounts.add_user(f"u{number}@example.org", password=None) for number in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        page = await accounts.users.list_users(ListUsers(limit=2, cursor=cursor))
        seen += [each.id for each in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert sorted(seen) == sorted(each.id for each in users)
    found = await accounts.users.list_users(ListUsers(search="U3@EX"))
    nothing = await accounts.users.list_users(ListUsers(search="u%@"))
    assert ([each.email for each in found.items], nothing.total) == (["u3@example.org"], 0)
    assert (await accounts.users.list_users(ListUsers(role="admin"))).total == 0


async def test_a_profile_belongs_to_the_actor(accounts: AccountsSystem) -> None:
    """It is changed with an audit row of before and after; without a user there is none."""
    user = await accounts.add_user()
    with acting_as(actor_of(user)):
        changed = await accounts.users.update_me(UpdateMe(name="Ada L.", skill_level="expert"))
        assert await accounts.users.get_me(GetMe()) == changed
    (row,) = await accounts.rows("SELECT * FROM accounts.audit WHERE action = 'profile_changed'")
    assert (row["actor_id"], row["address"], row["user_id"]) == (user.id, CLIENT.address, user.id)
    assert row["detail"] == (
        '{"after": {"name": "Ada L.", "skill_level": "expert"},'
        ' "before": {"name": "Ada", "skill_level": "beginner"}}'
    )
    for actor in (None, actor_of(user, kind="machine")):
        with acting_as(actor), pytest.raises(QueryError) as refused:
            await accounts.users.get_me(GetMe())
        assert refused.value.code == "no_account"


async def test_a_key_is_shown_once_and_never_above_its_owner(accounts: AccountsSystem) -> None:
    """Its role is the lower one of its own and the owner's; it is listed without the secret, expires, is revoked."""
    user = await accounts.add_user(role="operator")
    with acting_as(actor_of(user)):
        with pytest.raises(QueryError) as too_high:
            await accounts.keys.create(CreateKey(name="build", role="admin"))
        key = await accounts.keys.create(CreateKey(name="build", role="operator", expires_in_days=1))
    verified = await accounts.keys.verify(VerifyKey(key=key.secret, client=CLIENT))
    assert (verified.actor.kind, verified.actor.id, verified.actor.role) == ("key", user.id, "operator")
    assert verified.cache_until <= accounts.clock().replace(microsecond=0) + (
        verified.cache_until - accounts.clock()
    )
    await accounts.users.update(UpdateUser(user_id=user.id, role="viewer"))
    assert (await accounts.keys.verify(VerifyKey(key=key.secret))).actor.role == "viewer"
    with acting_as(actor_of(user)):
        (listed,) = (await accounts.keys.list_keys(ListApiKeys())).items
    assert key.secret.startswith(listed.hint)
    assert listed.last_used_at == accounts.clock()
    stranger = await accounts.add_user("eve@example.org")
    with acting_as(actor_of(stranger)), pytest.raises(QueryError) as foreign:
        await accounts.keys.revoke(RevokeKey(key_id=key.key.id))
    accounts.clock.advance(days=2)
    with pytest.raises(QueryError) as expired:
        await accounts.keys.verify(VerifyKey(key=key.secret))
    codes = [each.value.code for each in (too_high, foreign, expired)]
    assert codes == ["role_too_high", "key_not_found", "key_invalid"]


async def test_a_revoked_key_ends_at_once(accounts: AccountsSystem) -> None:
    """It is refused, and the gateways are told its id; a demoted key cannot be lifted by a key of its own."""
    user = await accounts.add_user(role="admin")
    with acting_as(actor_of(user)):
        key = await accounts.keys.create(CreateKey(name="build"))
        await accounts.keys.revoke(RevokeKey(key_id=key.key.id))
    with acting_as(actor_of(user, kind="key", role="viewer")), pytest.raises(QueryError) as lifted:
        await accounts.keys.create(CreateKey(name="more", role="editor"))
    with pytest.raises(QueryError) as refused:
        await accounts.keys.verify(VerifyKey(key=key.secret))
    assert (refused.value.code, lifted.value.code) == ("key_invalid", "role_too_high")
    (told,) = (await accounts.revocations.list_revocations(ListRevocations())).items
    assert told.key_ids == [key.key.id]


async def test_bootstrap_makes_one_admin_and_keeps_the_key(accounts: AccountsSystem, tmp_path: Path) -> None:
    """Each run gives another link for the same administrator; the key stays until it is not valid any more."""
    file = tmp_path / "api-key"

    async def run() -> str:
        async with accounts.pool.acquire() as connection:
            return (await bootstrap(connection, "root@example.org", file, accounts.clock())).link_token

    tokens = [await run(), await run()]
    key = file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await accounts.keys.verify(VerifyKey(key=key.strip()))).actor.role == "admin"
    for token in tokens:
        signed_in = await accounts.recovery.sign_in_by_link(SignInByLink(token=token, client=CLIENT))
        assert (signed_in.user.email, signed_in.user.role) == ("root@example.org", "admin")
        with pytest.raises(QueryError):
            await accounts.recovery.sign_in_by_link(SignInByLink(token=token, client=CLIENT))
    await accounts.pool.execute("UPDATE accounts.api_keys SET revoked_at = now()")
    late = await run()
    assert file.read_text() != key
    accounts.clock.advance(minutes=16)
    with pytest.raises(QueryError) as expired:
        await accounts.recovery.sign_in_by_link(SignInByLink(token=late, client=CLIENT))
    assert expired.value.code == "token_invalid"


async def test_old_rows_are_deleted_and_living_ones_stay(accounts: AccountsSystem) -> None:
    """Pruning removes sessions and tokens that have expired, and nothing that is still valid."""
    await accounts.add_user(password=PASSWORD)
    await accounts.login()
    accounts.clock.advance(days=9)
    kept = await accounts.login()
    async with accounts.pool.acquire() as connection:
        await delete_old(connection, accounts.clock())
    assert await accounts.rows("SELECT id FROM accounts.sessions") == [{"id": kept.session_id}]
    await accounts.sessions.refresh(Refresh(refresh_token=kept.refresh_token))


@pytest.mark.parametrize(
    "email", ["", "ada", "a b@example.org", "a@b\nBcc: c@d", "a@b,c@d", "<a@b>", "a@\x00"]
)
def test_what_is_no_address_is_refused(email: str) -> None:
    """So no address adds a header or a second recipient to a message."""
    with pytest.raises(ValidationError):
        CreateUser(email=email, name="Ada")
