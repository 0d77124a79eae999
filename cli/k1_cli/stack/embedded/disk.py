"""How much room the disk of a home has: before a start, while a stack runs, and for `k1 doctor`."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from k1_cli.stack.embedded.errors import StackError

MAKE_SPACE: Final = "; free some space, or choose a home on another disk with --home"
ADVISED_BYTES: Final = 2 * 1024**3
NEEDED_BYTES: Final = 256_000_000
"""A new home takes half of it; without room the servers would stop in the middle of a write."""
_FULL_BYTES: Final = 4_000_000
_ROOM_BYTES: Final = 64_000_000
"""More than `_FULL_BYTES`, so that a disk that is nearly full is not full and free again many times a minute."""


def check_room(home: Path) -> None:
    """Refuse to start on a disk without room, before anything is written.

    Raises:
        StackError: it says how much is free, how much is needed and what to do.
    """
    free = shutil.disk_usage(home).free
    if free < NEEDED_BYTES:
        raise StackError(
            f"the disk of {home} has {free / 1e6:.0f} MB free and a start needs {NEEDED_BYTES / 1e6:.0f} MB{MAKE_SPACE}"
        )


class DiskWatch:
    """Notices that the disk of a running stack fills up, and that it has room again."""

    def __init__(self, home: Path, *, on_full: Callable[[], None], on_room: Callable[[], None]) -> None:
        """Each is called once, when it begins to be so."""
        self._home = home
        self._on_full = on_full
        self._on_room = on_room
        self._full = False

    def check(self) -> None:
        """Look at the disk now."""
        free = shutil.disk_usage(self._home).free
        if not self._full and free < _FULL_BYTES:
            self._full = True
            self._on_full()
        elif self._full and free >= _ROOM_BYTES:
            self._full = False
            self._on_room()
