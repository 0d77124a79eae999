"""Commands that messages suggest, as the reader has to type them."""

import shlex
from pathlib import Path

from k1_cli.checkout import DEFAULT_HOME


def k1_command(words: str, home: Path) -> str:
    """Return `./k1 WORDS` in backquotes, with the option for a home that is not the default one."""
    other = home.expanduser().resolve() != DEFAULT_HOME
    return f"`./k1 {words}{f' --home {shlex.quote(str(home))}' if other else ''}`"
