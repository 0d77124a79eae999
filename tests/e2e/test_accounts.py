"""Accounts in the whole system, as `k1 up` starts it: the key of the command line, and messages in the mailbox."""

from k1_contracts.messages.accounts.authentication import (
    AUTH_FORGOT,
    AUTH_RESET,
    ForgotPassword,
    ResetPassword,
)
from k1_contracts.messages.accounts.users import KEY_VERIFY, VerifyKey
from tests.support.system import System


def test_the_command_line_has_the_key_of_an_administrator(system: System) -> None:
    """Only the owner of the home can read it."""
    file = system.stack.home.api_key_file
    verified = system.ask(KEY_VERIFY, VerifyKey(key=file.read_text().strip()))
    assert file.stat().st_mode & 0o777 == 0o600
    assert (verified.actor.kind, verified.actor.role) == ("key", "admin")


def test_a_password_is_set_by_the_link_in_the_mailbox(system: System) -> None:
    """The message arrives in the embedded mailbox, `k1 mail list` shows its link, and the link works."""
    forgotten = ForgotPassword(email="admin@localhost")
    link = system.link_sent_by(lambda: system.ask(AUTH_FORGOT, forgotten), "/reset")
    system.ask(
        AUTH_RESET, ResetPassword(token=link.split("?token=")[1], new_password="violet otter plays cello")
    )
