"""Writes the messages to users: plain text, plain English. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import make_msgid, parseaddr
from textwrap import fill
from typing import Final
from urllib.parse import quote

from k1_accounts.mail.store import Template
from k1_accounts.one_time_tokens import Purpose
from k1_contracts.messages.accounts.users import UserView

_COLUMNS: Final = 76


@dataclass(frozen=True, slots=True)
class Text:
    """A kind of message."""

    subject: str
    body: str
    """With `{greeting}`, and `{link}` and `{valid}` if it has a link."""
    purpose: Purpose | None = None
    """Of the token in the link; None: there is no link."""
    path: str = ""
    """Of the page that the link leads to."""
    lifetime: timedelta = timedelta(0)


TEXTS: Final[Mapping[Template, Text]] = {
    "verify": Text(
        "Confirm your e-mail address",
        "{greeting}\n\nsomeone, probably you, asked for an account at K1 Song Analysis with this address."
        " To confirm it, open this link within {valid}:\n\n{link}\n\n"
        "If it was not you, ignore this message: without the link the account cannot be used.\n",
        "verify",
        "/verify",
        timedelta(hours=24),
    ),
    "account_exists": Text(
        "You have an account already",
        "{greeting}\n\nsomeone, probably you, asked for an account at K1 Song Analysis with this address, which has"
        " one already. Sign in with it; if you forgot the password, ask for another one on the page for signing in.\n\n"
        "If it was not you, ignore this message: nothing has changed.\n",
    ),
    "reset": Text(
        "Set another password",
        "{greeting}\n\nsomeone, probably you, asked to set another password at K1 Song Analysis."
        " To do so, open this link within {valid}:\n\n{link}\n\n"
        "If it was not you, ignore this message: your password stays as it is.\n",
        "password",
        "/reset",
        timedelta(hours=1),
    ),
    "invitation": Text(
        "An account for you",
        "{greeting}\n\nan administrator has made an account for you at K1 Song Analysis."
        " To set your password, open this link within {valid}:\n\n{link}\n",
        "password",
        "/accept",
        timedelta(days=7),
    ),
    "password_changed": Text(
        "Your password was changed",
        "{greeting}\n\nyour password at K1 Song Analysis was changed, and you were signed out everywhere else.\n\n"
        "If it was not you, ask for another password on the page for signing in, and tell your administrator.\n",
    ),
}


def write_message(
    template: Template, user: UserView, *, sender: str, public_url: str, token: str | None
) -> EmailMessage:
    """Return the message to a user; `token` is that of its link."""
    text = TEXTS[template]
    link = f"{public_url.rstrip('/')}{text.path}?token={quote(token or '')}"
    message = EmailMessage()
    message["From"] = sender
    message["To"] = user.email
    message["Subject"] = text.subject
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    # Anybody may sign up with a foreign address: the name is then no text to send to its owner.
    greeting = f"Hello {' '.join(user.name.split())}," if user.email_verified else "Hello,"
    written = text.body.format(greeting=greeting, link=link, valid=_words(text.lifetime))
    body = "".join(f"{_wrap(paragraph)}\n\n" for paragraph in written.strip().split("\n\n"))
    # Not quoted-printable, which would break a long link into lines for whoever reads the source.
    message.set_content(body, cte="7bit" if body.isascii() else "8bit")
    return message


def _wrap(paragraph: str) -> str:
    """Return the paragraph in lines; a link stays whole."""
    return fill(paragraph, _COLUMNS, break_long_words=False, break_on_hyphens=False)


def _words(lifetime: timedelta) -> str:
    hours = round(lifetime.total_seconds() / 3600)
    if hours >= 48:  # noqa: PLR2004
        return f"{hours // 24} days"
    return "one hour" if hours == 1 else f"{hours} hours"
