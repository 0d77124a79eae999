"""Finds the programs of the servers."""

import shutil
import sys
from pathlib import Path

from k1_cli.stack.embedded.errors import StackError


def find_program(name: str) -> str:
    """Return the path of a program that a wheel installed beside this Python, else of one on the PATH.

    Raises:
        StackError: it is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StackError(f"{name} is not installed in this environment; remove .venv and run ./k1 again")
    return found
