"""Collects the gateway's garbage when its memory has grown, for the sake of those who wait for events meanwhile.

A full collection looks at every object: with 10,000 WebSockets it takes 1.7 s, in which nothing is sent. Python starts
one whenever the number of objects has grown by a quarter, so several while many clients connect. Here the young
generations are collected as usual, and a full collection comes when the process has grown by more than its new
connections explain. What closed connections leave in cycles is bounded by that.
"""

import asyncio
import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLIENT_BYTES: Final = 48 * 1024
"""What a connection may cost; a WebSocket costs 38 kB."""
_GARBAGE_BYTES: Final = 64 * 1024 * 1024
_CHECK_INTERVAL_S: Final = 5.0
_NEVER: Final = 2**31 - 1


@dataclass(slots=True)
class CollectionRule:
    """Decides when a full collection is due, from the memory and the clients at the last one."""

    resident_bytes: int
    clients: int

    def is_due(self, resident_bytes: int, clients: int) -> bool:
        """Return whether the process has grown by more than its new clients explain."""
        explained = max(clients - self.clients, 0) * _CLIENT_BYTES
        return resident_bytes > self.resident_bytes + explained + _GARBAGE_BYTES


async def collect_garbage(count_clients: Callable[[], int]) -> None:
    """Run full collections when they are due, until cancelled; Python starts none meanwhile."""
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)
    try:
        rule = CollectionRule(resident_bytes(), count_clients())
        while True:
            await asyncio.sleep(_CHECK_INTERVAL_S)
            if rule.is_due(resident_bytes(), count_clients()):
                gc.collect()
                rule = CollectionRule(resident_bytes(), count_clients())
    finally:
        gc.set_threshold(young, middle, old)


def resident_bytes() -> int:
    """Return the memory that this process has in use."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
