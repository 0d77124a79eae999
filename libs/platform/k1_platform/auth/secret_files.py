"""Writes files of secrets atomically, and locks their folder for one process at a time."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600


@contextmanager
def folder_lock(folder: Path) -> Generator[None]:
    """Lock the folder against other processes; create it if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_atomically(file: Path, text: str, mode: int = PRIVATE) -> None:
    """Write and sync `<stem>.new` in the same folder, then rename it to `file`."""
    draft = file.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
