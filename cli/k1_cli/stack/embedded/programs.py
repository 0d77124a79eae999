"""Where the servers' programs are."""

import shutil
import sys
from pathlib import Path

from k1_cli.stack.embedded.errors import StackError


def program(name: str) -> str:
    """The path of a program that a wheel put beside this Python.

    Raises:
        StackError: it is not there.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StackError(f"{name} is not installed in this environment; remove .venv and run ./k1 again")
    return found
