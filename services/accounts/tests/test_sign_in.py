"""Sign-up, sign-in with a password, forgotten passwords: no answer tells who has an account, guessing is slow."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from k1_accounts.passwords.rules import check_password
from k1_accounts.sign_in.throttle import address_subject
from k1_contracts.messages.accounts.authentication import (
    ForgotPassword,
    Login,
    Refresh,
    Register,
    ResetPassword,
    VerifyEmail,
)
from k1_contracts.messages.accounts.users import ChangePassword, ClientInfo
from k1_platform.nats.actors import acting_as
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.accounts.tests.accounts_system import CLIENT, OTHER_PASSWORD, PASSWORD, AccountsSystem, actor_of


def registration(email: str, password: str = PASSWORD) -> Register:
    return Register(email=email, password=password, name="Bob", client=CLIENT)


async def test_sign_up_needs_the_link_of_the_message(accounts: AccountsSystem) -> None:
    """Before it is opened the right password does not sign in; after it the new user is a viewer."""
    await accounts.registration.register(registration("Bob@example.org"))
    with pytest.raises(QueryError) as unverified:
        await accounts.login("bob@example.org")
    with pytest.raises(QueryError) as wrong:
        await accounts.login("bob@example.org", OTHER_PASSWORD)
    await accounts.deliver()
    verify = VerifyEmail(token=accounts.mailbox.token(), client=CLIENT)
    assert (await accounts.registration.verify(verify)).email == "bob@example.org"
    with pytest.raises(QueryError, match="not valid any more"):
        await accounts.registration.verify(verify)
    signed_in = await accounts.login("BOB@example.org")
    assert (unverified.value.code, wrong.value.code) == ("email_not_verified", "sign_in_failed")
    assert (signed_in.user.email, signed_in.user.role) == ("bob@example.org", "viewer")


async def test_sign_up_can_be_closed(accounts: AccountsSystem) -> None:
    """Then only who is invited has an account, and the answer says so for every address."""
    await accounts.add_user()
    closed = replace(accounts.registration, sign_up="invited")
    for email in ("ada@example.org", "new@example.org"):
        with pytest.raises(QueryError) as refused:
            await closed.register(registration(email))
        assert refused.value.code == "sign_up_closed"


async def test_no_answer_tells_whether_an_address_exists(
    accounts: AccountsSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign-up, sign-in and forgotten passwords answer alike, and verify or hash as many passwords."""
    await accounts.add_user("known@example.org")
    await accounts.add_user("without-password@example.org", password=None)
    calls: list[str] = []
    for name in ("hash", "_verify"):
        original = getattr(type(accounts.hasher.argon2 if name == "hash" else accounts.hasher), name)

        def counted(*arguments: object, _original: object = original, _name: str = name) -> object:
            calls.append(_name)
            return _original(*arguments)  # type: ignore[operator]

        owner = type(accounts.hasher.argon2) if name == "hash" else type(accounts.hasher)
        monkeypatch.setattr(owner, name, counted)
    seen = set()
    for email in ("known@example.org", "without-password@example.org", "unknown@example.org"):
        calls.clear()
        with pytest.raises(QueryError) as refused:
            await accounts.login(email, "wrong password here")
        answer = await accounts.registration.register(registration(email))
        forgotten = await accounts.recovery.forgot(ForgotPassword(email=email, client=CLIENT))
        seen.add((refused.value.code, str(refused.value), answer, forgotten, tuple(calls)))
    assert len(seen) == 1
    assert seen.pop()[-1] == ("_verify", "hash")
    messages = [(each["To"], each["Subject"]) for each in await accounts.deliver()]
    assert ("known@example.org", "You have an account already") in messages
    assert ("known@example.org", "Set another password") in messages


async def test_a_forgotten_password_is_set_again(accounts: AccountsSystem) -> None:
    """The link works once; all sessions end, the old password does not sign in, the owner gets a message."""
    await accounts.add_user()
    session = await accounts.login()
    await accounts.recovery.forgot(ForgotPassword(email="ADA@example.org", client=CLIENT))
    await accounts.deliver()
    reset = ResetPassword(token=accounts.mailbox.token(), new_password=OTHER_PASSWORD, client=CLIENT)
    outcomes = await asyncio.gather(
        *(accounts.recovery.reset(reset) for _ in range(3)), return_exceptions=True
    )
    assert sorted(getattr(each, "code", "done") for each in outcomes) == [
        "done",
        "token_invalid",
        "token_invalid",
    ]
    for attempt in (
        accounts.login(),
        accounts.sessions.refresh(Refresh(refresh_token=session.refresh_token)),
    ):
        with pytest.raises(QueryError):
            await attempt
    await accounts.login(password=OTHER_PASSWORD)
    assert (await accounts.deliver())[-1]["Subject"] == "Your password was changed"


async def test_a_link_in_a_message_expires(accounts: AccountsSystem) -> None:
    """From when it was sent: that of a forgotten password after an hour."""
    await accounts.add_user()
    await accounts.recovery.forgot(ForgotPassword(email="ada@example.org", client=CLIENT))
    accounts.clock.advance(hours=5)
    await accounts.deliver()
    accounts.clock.advance(minutes=61)
    with pytest.raises(QueryError) as refused:
        await accounts.recovery.reset(
            ResetPassword(token=accounts.mailbox.token(), new_password=OTHER_PASSWORD)
        )
    assert refused.value.code == "token_invalid"


async def test_a_change_of_password_keeps_only_the_own_session(accounts: AccountsSystem) -> None:
    """It needs the current one, and is not for API keys."""
    user = await accounts.add_user()
    own, other = await accounts.login(), await accounts.login()
    change = ChangePassword(current_password="wrong", new_password=OTHER_PASSWORD, session_id=own.session_id)
    with acting_as(actor_of(user)):
        with pytest.raises(QueryError) as wrong:
            await accounts.passwords.change_password(change)
        right = change.model_copy(update={"current_password": PASSWORD})
        changed = await accounts.passwords.change_password(right)
    with acting_as(actor_of(user, kind="key")), pytest.raises(QueryError) as by_key:
        await accounts.passwords.change_password(right)
    await accounts.sessions.refresh(Refresh(refresh_token=own.refresh_token))
    with pytest.raises(QueryError):
        await accounts.sessions.refresh(Refresh(refresh_token=other.refresh_token))
    assert (changed.sessions_ended, wrong.value.code, by_key.value.code) == (
        1,
        "wrong_password",
        "no_account",
    )


async def test_guessing_is_throttled_by_account_and_address(accounts: AccountsSystem) -> None:
    """After ten wrong guesses, also parallel ones, even the right password waits; elsewhere the owner gets in."""
    await accounts.add_user()

    async def guess(password: str, address: str) -> str:
        query = Login(email="ada@example.org", password=password, client=ClientInfo(address=address))
        try:
            await accounts.passwords.login(query)
        except QueryError as error:
            return error.code
        return "signed in"

    codes = await asyncio.gather(*(guess(f"wrong guess {number}", "192.0.2.66") for number in range(14)))
    assert sorted(codes) == ["sign_in_failed"] * 10 + ["too_many_attempts"] * 4
    assert await guess(PASSWORD, "192.0.2.66") == "too_many_attempts"
    assert await guess(PASSWORD, "198.51.100.1") == "signed in"
    accounts.clock.advance(seconds=61)
    assert await guess(PASSWORD, "192.0.2.66") == "signed in"


async def test_a_sign_in_of_the_owner_gives_others_no_more_guesses(accounts: AccountsSystem) -> None:
    """Guesses from many addresses count together, also after the owner has signed in between them."""
    await accounts.add_user()

    async def guess(address: str) -> str:
        query = Login(email="ada@example.org", password="wrong guess", client=ClientInfo(address=address))
        with pytest.raises(QueryError) as refused:
            await accounts.passwords.login(query)
        return refused.value.code

    codes = await asyncio.gather(*(guess(f"198.51.100.{number}") for number in range(49)))
    await accounts.login()
    codes += [await guess(f"203.0.113.{number}") for number in range(2)]
    assert codes == ["sign_in_failed"] * 50 + ["too_many_attempts"]


async def test_the_throttle_says_when_to_try_again(accounts: AccountsSystem) -> None:
    """One address cannot try many accounts either; IPv6 addresses of one network count as one."""
    for number in range(100):
        with pytest.raises(QueryError) as refused:
            await accounts.passwords.login(
                Login(
                    email=f"u{number}@example.org",
                    password="x",
                    client=ClientInfo(address=f"2001:db8::{number}"),
                )
            )
    with pytest.raises(QueryError) as refused:
        await accounts.passwords.login(
            Login(email="u@example.org", password="x", client=ClientInfo(address="2001:db8::ffff"))
        )
    assert (refused.value.code, refused.value.retry_after_s) == ("too_many_attempts", 6)
    assert address_subject("::ffff:192.0.2.1") == "192.0.2.1"


async def test_messages_to_one_address_are_few(accounts: AccountsSystem) -> None:
    """Whoever asks again and again fills nobody's mailbox, and the answer stays the same until the asker is throttled."""
    await accounts.add_user()
    answers = set()
    for _ in range(12):
        query = ForgotPassword(email="ada@example.org", client=CLIENT)
        answers.add(await accounts.recovery.forgot(query))
    assert (len(answers), len(await accounts.deliver())) == (1, 5)
    with pytest.raises(QueryError) as refused:
        for _ in range(20):
            await accounts.recovery.forgot(ForgotPassword(email="x@example.org", client=CLIENT))
    assert refused.value.code == "too_many_attempts"


async def test_a_failed_sign_in_stands_in_the_audit(accounts: AccountsSystem, pool: Pool) -> None:
    """With the address it came from, and the account if there is one."""
    user = await accounts.add_user()
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(QueryError):
            await accounts.login(email, "wrong password here")
    rows = await pool.fetch(
        "SELECT user_id, address FROM accounts.audit WHERE action = 'sign_in_failed' ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [(user.id, CLIENT.address), (None, CLIENT.address)]
    for change in ("UPDATE accounts.audit SET address = NULL", "DELETE FROM accounts.audit"):
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await pool.execute(change)


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password12",
        "1234567890",
        "qwertyuiop",
        "aaaaaaaaaaaa",
        "ada@example.org",
        "Ada Lovelace",
        "x" * 129,
    ],
)
def test_weak_passwords_are_refused(password: str) -> None:
    """Short, long, common, repeated, and the owner's own name or address."""
    with pytest.raises(QueryError) as refused:
        check_password(password, ("ada@example.org", "Ada Lovelace"))
    assert (refused.value.code, refused.value.status) == ("weak_password", 422)


@pytest.mark.parametrize(
    "password", [PASSWORD, OTHER_PASSWORD, "x7Kq9mPz2w", "пароль который длинный", "🎵 lantern 🎵 drift"]
)
def test_good_passwords_are_accepted(password: str) -> None:
    """Any characters, no rule about their kinds."""
    check_password(password, ("ada@example.org",))
