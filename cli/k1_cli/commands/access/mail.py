"""The commands `k1 mail ...`: the messages that the stack on this machine has sent to its users.

The embedded mail server delivers nothing; it keeps every message in the home.
"""

# ruff: noqa: PLC0415  a command imports its tools when it runs, so that --help is fast

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from k1_cli.checkout import DEFAULT_HOME
from k1_cli.commands.common import HomeOption, JsonOption
from k1_cli.errors import CommandError
from k1_cli.output.console import print_json, results

if TYPE_CHECKING:
    from email.message import EmailMessage

_LINK: Final = re.compile(r"https?://\S+")

Number = Annotated[
    int, typer.Argument(help="The message's number, as `k1 mail list` shows it; 1 is the newest.", min=1)
]

app = typer.Typer(help="Messages to users of the stack on this machine.", no_args_is_help=True)


@app.command("list")
def list_all(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the messages, the newest first.

    Example: ./k1 mail list
    """
    messages = _read_messages(home)
    if as_json:
        print_json({"total": len(messages), "items": [_to_json(message) for message in messages]})
        return
    if not messages:
        results.print("no messages")
        return
    from k1_cli.output.table import TextTable

    table = TextTable(("number", "to", "subject"), flexible=("to", "subject"), right_aligned=("number",))
    for number, message in enumerate(messages, start=1):
        table.add(str(number), str(message["To"]), str(message["Subject"]))
    results.print(table)


@app.command()
def show(number: Number = 1, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show a message; by default the newest.

    Example: ./k1 mail show
    """
    message = _require_message(home, number)
    if as_json:
        print_json(_to_json(message))
        return
    results.print(f"To: {message['To']}\nSubject: {message['Subject']}\n\n{_text(message)}")


@app.command()
def link(number: Number = 1, home: HomeOption = DEFAULT_HOME) -> None:
    """Print the link in a message; by default in the newest.

    Example: ./k1 mail link
    """
    found = _LINK.search(_text(_require_message(home, number)))
    if found is None:
        raise CommandError(f"message {number} has no link")
    results.print(found[0])


def _require_message(home: Path, number: int) -> "EmailMessage":
    messages = _read_messages(home)
    if number > len(messages):
        raise CommandError(f"there are {len(messages)} messages, so none with the number {number}")
    return messages[number - 1]


def _read_messages(home: Path) -> "list[EmailMessage]":
    """Return the messages in the home, the newest first; those of a stack that does not run any more too."""
    from email import message_from_bytes
    from email.policy import default

    from k1_cli.stack.embedded.home import Home

    folder = Home(home).mail
    files = [file for part in ("new", "cur") for file in (folder / part).glob("*")]
    newest_first = sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True)
    return [message_from_bytes(file.read_bytes(), policy=default) for file in newest_first]


def _text(message: "EmailMessage") -> str:
    content = message.get_content()
    return content if isinstance(content, str) else ""


def _to_json(message: "EmailMessage") -> dict[str, Any]:
    found = _LINK.search(_text(message))
    return {
        "to": str(message["To"]),
        "subject": str(message["Subject"]),
        "text": _text(message),
        "link": found[0] if found else None,
    }
