"""The outbox of messages against a real mail server that goes away and comes back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given
from hypothesis import strategies as st

from k1_accounts.mail.messages import TEXTS, write_message
from k1_accounts.mail.sender import MailSender, smtp_transport
from k1_accounts.mail.store import Template
from k1_accounts.settings import AccountsSettings
from k1_cli.stack.embedded.ports import free_port
from k1_contracts.messages.accounts.authentication import ForgotPassword, Register, ResetPassword
from k1_contracts.messages.accounts.users import CreateUser, UpdateMe, UserView
from k1_platform.nats.actors import acting_as
from services.accounts.tests.accounts_system import CLIENT, OTHER_PASSWORD, AccountsSystem, actor_of


class Recorder:
    """The handler of a mail server: keeps messages, refuses some recipients."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("refused"):
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@contextmanager
def mail_server(port: int) -> Iterator[Recorder]:
    recorder = Recorder()
    controller = Controller(recorder, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield recorder
    finally:
        controller.stop()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def sender(accounts: AccountsSystem, port: int) -> MailSender:
    """The sender of the service, for a mail server on this port."""
    settings = AccountsSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_security="none")
    transport = smtp_transport(settings)
    assert transport is not None
    return MailSender(accounts.pool, transport, "k1@example.org", "https://k1.example.org", accounts.clock)


async def test_a_dead_mail_server_loses_nothing(
    accounts: AccountsSystem, sender: MailSender, port: int
) -> None:
    """Messages wait, with growing pauses, and are sent once when the server is there; their links work."""
    user = await accounts.add_user()
    with acting_as(actor_of(user)):
        await accounts.users.update_me(UpdateMe(name="Ada 🎵 Bøb"))
    await accounts.users.create(CreateUser(email="bob@example.org", name="Bob"))
    await accounts.recovery.forgot(ForgotPassword(email="ada@example.org", client=CLIENT))
    for _ in range(3):
        while await sender.send_next():
            pass
        accounts.clock.advance(minutes=10)
    assert await accounts.rows("SELECT attempts FROM accounts.mails") == [{"attempts": 3}] * 2
    with mail_server(port) as server:
        outcomes = await asyncio.gather(*(sender.send_next() for _ in range(6)))
    assert sum(outcomes) == 2
    assert await accounts.rows("SELECT * FROM accounts.mails") == []
    received = {message["To"]: message for _, message in server.messages}
    assert sorted(received) == ["ada@example.org", "bob@example.org"]
    assert "Hello Ada 🎵 Bøb," in received["ada@example.org"].get_content()
    links = [line for line in received["ada@example.org"].get_content().splitlines() if "://" in line]
    token = links[0].removeprefix("https://k1.example.org/reset?token=")
    await accounts.recovery.reset(ResetPassword(token=token, new_password=OTHER_PASSWORD))


async def test_a_refused_recipient_holds_up_nobody(
    accounts: AccountsSystem, sender: MailSender, port: int
) -> None:
    """What the server refuses for good is given up; the next message is sent."""
    await accounts.users.create(CreateUser(email="refused@example.org", name="Nobody"))
    await accounts.users.create(CreateUser(email="bob@example.org", name="Bob"))
    with mail_server(port) as server:
        while await sender.send_next():
            pass
    assert [recipients for recipients, _ in server.messages] == [["bob@example.org"]]
    assert await accounts.rows("SELECT * FROM accounts.mails") == []


async def test_a_message_is_given_up_after_three_days(accounts: AccountsSystem, sender: MailSender) -> None:
    """A wrong setting must not fill the table for ever."""
    await accounts.users.create(CreateUser(email="bob@example.org", name="Bob"))
    accounts.clock.advance(days=3, seconds=1)
    assert await sender.send_next()
    assert await accounts.rows("SELECT * FROM accounts.mails") == []


async def test_a_stranger_writes_nothing_into_a_message(accounts: AccountsSystem) -> None:
    """Whoever signs up with a foreign address cannot send text to its owner as a name."""
    name = "Win at https://evil.example.org"
    await accounts.registration.register(
        Register(email="victim@example.org", password=OTHER_PASSWORD, name=name, client=CLIENT)
    )
    await accounts.recovery.forgot(ForgotPassword(email="victim@example.org", client=CLIENT))
    messages = await accounts.deliver()
    assert len(messages) == 2
    assert not [message for message in messages if "evil" in message.as_string()]


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=100)


@given(name=NAMES.filter(str.strip), template=st.sampled_from(sorted(TEXTS)))
def test_any_name_gives_a_message_that_is_read_back(name: str, template: Template) -> None:
    """It has one recipient, one line of each header, and the whole link; the text is what was written."""
    at = "2026-03-01T12:00:00Z"
    user = UserView.model_validate(
        {
            "id": "usr_01K9Z6Q3T4V8W2X0Y1Z5A7B9CD",
            "email": "ada@example.org",
            "name": name,
            "role": "viewer",
            "email_verified": True,
            "disabled": False,
            "has_password": True,
            "skill_level": "beginner",
            "locale": "en",
            "created_at": at,
            "updated_at": at,
        }
    )
    written = write_message(
        template, user, sender="k1@example.org", public_url="https://k1.example.org/", token="t" * 43
    )
    read = message_from_bytes(written.as_bytes(), policy=default)
    assert [read.get_all(header) for header in ("To", "From", "Bcc")] == [
        ["ada@example.org"],
        ["k1@example.org"],
        None,
    ]
    links = [line for line in read.get_content().splitlines() if line.startswith("https://k1.example.org/")]
    assert links[:1] == (
        [f"https://k1.example.org{TEXTS[template].path}?token={'t' * 43}"] if TEXTS[template].purpose else []
    )


async def test_a_user_without_a_server_waits(accounts: AccountsSystem) -> None:
    """Without K1_ACCOUNTS_SMTP_HOST there is no transport."""
    assert smtp_transport(AccountsSettings(smtp_host=None)) is None
    assert await accounts.deliver() == []
