"""Commands that messages suggest, as the reader has to type them: with the home that the running command was given."""

import re
import shlex
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from k1_cli.checkout import DEFAULT_HOME

_OF_A_SERVICE: Final = re.compile(r"`k1 ([a-z][^`\n]*)`")
_HOME: Final[ContextVar[Path]] = ContextVar("home", default=DEFAULT_HOME)


def use_home(home: Path) -> None:
    """Let hints name this home: the one that the running command works on."""
    _HOME.set(home)


def k1_command(words: str, home: Path | None = None) -> str:
    """Return `./k1 WORDS` in backquotes, with --home where the home is not the default one.

    `home`: by default that of the running command.
    """
    home = home or _HOME.get()
    other = home.expanduser().resolve() != DEFAULT_HOME
    return f"`./k1 {words}{f' --home {shlex.quote(str(home))}' if other else ''}`"


def typed_commands(text: str) -> str:
    """Return the text of a service with its commands (`k1 devices list`) as they have to be typed here."""
    return _OF_A_SERVICE.sub(lambda found: k1_command(found[1]), text)
