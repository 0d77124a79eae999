"""Checks the free space on the disk of a home, before a start and while a stack runs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from k1_cli.output.full_disk import FREE_SPACE_ADVICE
from k1_cli.stack.embedded.errors import StackError

ADVISED_BYTES: Final = 2 * 1024**3
NEEDED_BYTES: Final = 256_000_000
"""A new home takes half of it; on a full disk the servers would stop in the middle of a write."""
_FULL_BYTES: Final = 4_000_000
_FREE_BYTES: Final = 64_000_000
"""More than `_FULL_BYTES` (hysteresis), so that a nearly full disk does not change its state many times a minute."""


def require_free_space(home: Path) -> None:
    """Refuse to start on a disk without enough space, before anything is written.

    Raises:
        StackError: there is too little space; it says how much is free, how much is needed and what to do.
    """
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise StackError(
            f"the disk of {home} has {free / 1e6:.0f} MB free and a start needs {NEEDED_BYTES / 1e6:.0f} MB{FREE_SPACE_ADVICE}"
        )


class DiskMonitor:
    """Detects that the disk of a running stack becomes full, and that it has space again."""

    def __init__(self, home: Path, *, on_full: Callable[[], None], on_room: Callable[[], None]) -> None:
        """`on_full` and `on_room` are called once at each change of the state."""
        self._home = home
        self._on_full = on_full
        self._on_room = on_room
        self._full = False

    def check(self) -> None:
        """Check the disk now, and call a callback where the state has changed."""
        free = shutil.disk_usage(self._home).free
        if not self._full and free < _FULL_BYTES:
            self._full = True
            self._on_full()
        elif self._full and free >= _FREE_BYTES:
            self._full = False
            self._on_room()
