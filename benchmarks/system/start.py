"""Measures `k1 up` until ready, cold (an empty home) and warm, against its four servers alone."""

from pathlib import Path
from statistics import median

from benchmarks.figures import markdown_table, time_call
from benchmarks.system.stack import k1
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack

ROUNDS = 3


def measure(folder: Path) -> str:
    """Measure cold and warm starts in turn, in an existing environment."""
    servers, cold, warm = [], [], []
    for number in range(ROUNDS):
        home = str(folder / f"system-{number}")
        cold.append(_seconds_up(home))
        warm.append(_seconds_up(home))
        stack = EmbeddedStack(folder / f"servers-{number}")
        stack.start()
        stack.stop()
        servers.append(time_call(stack.start))
        stack.stop()
    rows = [
        ["the four servers alone, warm (baseline)", f"{median(servers):.2f}", "1.0"],
        ["everything, warm", f"{median(warm):.2f}", f"{median(warm) / median(servers):.1f}"],
        ["everything, cold", f"{median(cold):.2f}", f"{median(cold) / median(servers):.1f}"],
    ]
    return markdown_table(["`./k1 up` until ready", "seconds, median of 3", "ratio"], rows)


def _seconds_up(home: str) -> float:
    seconds = time_call(lambda: k1("up", "--detach", "--home", home))
    k1("down", "--home", home)
    return seconds
