"""Measures memory and open files of the processes of a system over time.

Memory is a leak if a process grows under load, and a new one does not come to need as much when the load has ended.
What that one needs too belongs to the stored data: a server keeps an index of its messages or rows, and caches whose
size is limited, in memory.
"""

import math
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import psutil

from tests.support.system import System

INTERVAL_S: Final = 1.0
SHORTEST_LIFE_S: Final = 60.0
"""Younger processes still load code and fill caches."""
WARM_UP_S: Final = 20.0
MOST_GROWTH: Final = 1.4
MOST_GROWTH_BYTES: Final = 60_000_000
"""Growth below this is noise of allocators and caches."""
SETTLED_LIFE_S: Final = 180.0
"""How long a new process has to live so that its memory can be compared with that of one that grew: NATS needs two
minutes without load until its caches of message blocks are as large as before."""
MOST_FILES: Final = 40


@dataclass
class Life:
    """The measurements of one process."""

    name: str
    times: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    @property
    def memory_grew(self) -> bool:
        """Whether the memory grew by more than noise."""
        return _grew(*self.thirds(self.memory))

    def thirds(self, values: list[int]) -> tuple[float, float]:
        """Return the medians of the first and of the last third, without the time of warming up."""
        warm = [v for t, v in zip(self.times, values, strict=True) if t - self.times[0] >= WARM_UP_S]
        third = max(1, len(warm) // 3)
        return median(warm[:third]), median(warm[-third:])

    @property
    def lasted_s(self) -> float:
        """How long it was observed."""
        return self.times[-1] - self.times[0]


@dataclass
class ResourceMonitor:
    """Samples the processes in a thread."""

    system: System
    lives: dict[tuple[int, float], Life] = field(default_factory=dict)
    """By process id and time of creation: in an hour of restarts the system gives ids a second time."""
    load_ended: float = math.inf
    """On the monotonic clock."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Generator[None]:
        """Measure while the block runs."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL_S):
            stack = self.system.stack
            parts = {part.pid: part.name for part in (*stack.servers, *stack.services) if part.pid}
            for pid, name in {**parts, stack.pid: "supervisor"}.items():
                try:
                    process = psutil.Process(pid)
                    key = (pid, process.create_time())
                    memory, files = process.memory_info().rss, process.num_fds()
                except psutil.Error:
                    continue
                life = self.lives.setdefault(key, Life(name))
                life.times.append(time.monotonic())
                life.memory.append(memory)
                life.files.append(files)

    def end_load(self) -> None:
        """Take processes that start from now on for new ones without load."""
        self.load_ended = time.monotonic()

    def suspects(self) -> set[str]:
        """Return the names of the processes that grew under load: a new one has to show what they need without."""
        return {life.name for life in self._loaded() if life.memory_grew}

    def is_settled(self, name: str) -> bool:
        """Return whether a process without load can be compared with those that grew."""
        return self._settled(name) is not None

    def _loaded(self) -> list[Life]:
        return [life for life in self._long() if life.times[0] < self.load_ended]

    def _long(self) -> list[Life]:
        return [life for life in list(self.lives.values()) if life.lasted_s >= SHORTEST_LIFE_S]

    def _settled(self, name: str) -> Life | None:
        """Return the process of a name that started when the load had ended, once it has lived long enough."""
        lives = [life for life in list(self.lives.values()) if life.name == name]
        new = next((life for life in lives if life.times[0] >= self.load_ended), None)
        return new if new is not None and new.lasted_s >= SETTLED_LIFE_S else None

    def summary(self) -> dict[str, Any]:
        """Return, of the process of each name that lived longest, memory and files at the beginning and the end."""
        longest: dict[str, Life] = {}
        for life in self._long():
            if life.name not in longest or life.lasted_s > longest[life.name].lasted_s:
                longest[life.name] = life
        return {
            name: {
                "lasted_s": round(life.lasted_s),
                "memory_mb": [round(value / 1e6, 1) for value in life.thirds(life.memory)],
                "open_files": list(life.thirds(life.files)),
            }
            for name, life in sorted(longest.items())
        }

    def find_violations(self) -> list[str]:
        """Return a text for each process whose memory leaked or whose number of open files grew."""
        texts = (text for life in self._loaded() for text in (self._leak(life), _file_leak(life)))
        return [text for text in texts if text]

    def _leak(self, life: Life) -> str | None:
        """Return a text if the memory grew and a new process without load does not need as much."""
        if not life.memory_grew:
            return None
        first, last = life.thirds(life.memory)
        grew = f"the memory of {life.name} grew from {first / 1e6:.0f} to {last / 1e6:.0f} MB"
        new = self._settled(life.name)
        if new is None:
            return f"{grew}, and no new process was observed for {SETTLED_LIFE_S:.0f} s"
        _, needed = new.thirds(new.memory)
        return f"{grew}, and a new process needs {needed / 1e6:.0f} MB" if _grew(needed, last) else None


def _file_leak(life: Life) -> str | None:
    """Return a text if the number of open files grew."""
    first, last = life.thirds(life.files)
    if last - first <= MOST_FILES:
        return None
    return f"the open files of {life.name} grew from {first:.0f} to {last:.0f}"


def _grew(first: float, last: float) -> bool:
    return last > first * MOST_GROWTH and last - first > MOST_GROWTH_BYTES
