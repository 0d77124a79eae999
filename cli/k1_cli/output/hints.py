"""Formats the commands that messages suggest, so that the reader can type them: with `--home` where it is needed."""

import re
import shlex
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from k1_cli.checkout import DEFAULT_HOME

_SERVICE_COMMAND: Final = re.compile(r"`k1 ([a-z][^`\n]*)`")
_HOME: Final[ContextVar[Path]] = ContextVar("home", default=DEFAULT_HOME)


def set_home(home: Path) -> None:
    """Set the home that hints name: the one that the running command works on."""
    _HOME.set(home)


def k1_command(arguments: str, home: Path | None = None) -> str:
    """Return `./k1 ARGUMENTS` in backquotes, with --home where the home is not the default one.

    `home`: by default that of the running command.
    """
    home = home or _HOME.get()
    other = home.expanduser().resolve() != DEFAULT_HOME
    return f"`./k1 {arguments}{f' --home {shlex.quote(str(home))}' if other else ''}`"


def rewrite_commands(text: str) -> str:
    """Return the text of a service with its commands (`k1 devices list`) in the form that can be typed here."""
    return _SERVICE_COMMAND.sub(lambda found: k1_command(found[1]), text)
