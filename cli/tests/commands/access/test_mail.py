"""`k1 mail`: shows what the embedded mail server has received, whoever wrote it."""

import json
import smtplib
from collections.abc import Iterator
from contextvars import copy_context
from email.message import EmailMessage
from pathlib import Path

import pytest
from typer.testing import CliRunner

from k1_cli.app import app
from k1_cli.stack.embedded.home import Home
from k1_cli.stack.embedded.servers.mailbox import MailboxServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailboxServer]:
    home = Home(tmp_path)
    home.create()
    server = MailboxServer(home)
    server.start()
    yield server
    server.stop()


def send(server: MailboxServer, subject: str, text: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "k1@localhost", "ada@example.org", subject
    message.set_content(text)
    with smtplib.SMTP("127.0.0.1", server.port_named("smtp")) as client:
        client.send_message(message)


def run(home: Path, *arguments: str) -> tuple[int, str]:
    # In a context of its own: hints name the home of the last command.
    done = copy_context().run(CliRunner().invoke, app, ["mail", *arguments, "--home", str(home)])
    return done.exit_code, done.output


def test_messages_are_listed_and_the_link_is_found(server: MailboxServer, tmp_path: Path) -> None:
    """The newest comes first; a long link comes whole; escape sequences do not reach the terminal."""
    link = f"http://127.0.0.1:1/reset?token={'x' * 120}"
    assert run(tmp_path, "list") == (0, "no messages\n")
    send(server, "First", "no link here")
    send(server, "Second", f"open\n\n{link}\n\n\x1b[31mred")
    code, listed = run(tmp_path, "list", "--json")
    document = json.loads(listed)
    assert (code, [each["subject"] for each in document["items"]]) == (0, ["Second", "First"])
    assert document["items"][0]["link"] == link
    assert run(tmp_path, "link") == (0, f"{link}\n")
    shown = run(tmp_path, "show")[1]
    assert "Subject: Second" in shown
    assert "\x1b" not in shown
    assert run(tmp_path, "link", "2")[0] == 1
    assert run(tmp_path, "show", "3")[0] == 1
