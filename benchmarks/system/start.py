"""`k1 up` until everything is ready, cold (an empty home) and warm, beside its four servers alone."""

import time
from pathlib import Path
from statistics import median

from benchmarks.system.running import k1, table
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack

ROUNDS = 3


def measure(folder: Path) -> str:
    """Cold and warm in turn; the environment itself exists already."""
    servers, cold, warm = [], [], []
    for number in range(ROUNDS):
        home = str(folder / f"system-{number}")
        cold.append(_seconds_up(home))
        warm.append(_seconds_up(home))
        stack = EmbeddedStack(folder / f"servers-{number}")
        stack.start()
        stack.stop()
        began = time.perf_counter()
        stack.start()
        servers.append(time.perf_counter() - began)
        stack.stop()
    rows = [
        ["the four servers alone, warm (peer)", f"{median(servers):.2f}", "1.0"],
        ["everything, warm", f"{median(warm):.2f}", f"{median(warm) / median(servers):.1f}"],
        ["everything, cold", f"{median(cold):.2f}", f"{median(cold) / median(servers):.1f}"],
    ]
    return table(["`./k1 up` until ready", "seconds, median of 3", "ratio"], rows)


def _seconds_up(home: str) -> float:
    began = time.perf_counter()
    k1("up", "--detach", "--home", home)
    seconds = time.perf_counter() - began
    k1("down", "--home", home)
    return seconds
