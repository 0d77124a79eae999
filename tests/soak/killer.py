"""Kills random processes of a system."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from k1_cli.stack.services import SERVICE_NAMES
from tests.support.system import System

KILLED: Final = frozenset({*SERVICE_NAMES, "nats", "postgres", "mongo", "s3"})
"""The supervisor and the mailbox are not killed."""
PAUSE_S: Final = (2.0, 6.0)
"""Between the end of a restart and the next kill."""


@dataclass
class Killer:
    """Kills one process after the other; each restarts before the next one is killed."""

    system: System
    seed: int
    kills: list[str] = field(default_factory=list)
    slowest_restart_s: float = 0.0

    def run(self, until: float) -> None:
        """Kill processes until a time of the monotonic clock."""
        chance = random.Random(self.seed)
        while time.monotonic() + PAUSE_S[1] < until:
            time.sleep(chance.uniform(*PAUSE_S))
            self.kill(chance.choice(sorted(KILLED)))
        time.sleep(max(0.0, until - time.monotonic()))

    def kill(self, name: str) -> None:
        """Kill a process and wait until it runs again and every service is ready."""
        began = time.monotonic()
        old = self.system.kill(name)
        self.kills.append(name)
        self.system.wait_for_restart(name, old)
        self.slowest_restart_s = max(self.slowest_restart_s, time.monotonic() - began)

    def counts(self) -> dict[str, int]:
        """Return how often each process was killed."""
        return dict(sorted(Counter(self.kills).items()))
