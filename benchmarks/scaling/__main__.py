"""Measures the scaling of analysis: `.venv/bin/python -m benchmarks.scaling [--songs 200] [--picture FILE]`.

The system runs with analysis in the role `front`. Workers are processes of one slot each, started and stopped by the
formula of KEDA on the metric that the front exports. The times of the policy are shorter than on a cluster, so that a
run takes minutes. Prints a Markdown table for docs/scaling.md.
"""

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.figures import markdown_table, percentile_95
from benchmarks.scaling.autoscaler import Policy
from benchmarks.scaling.plot import draw
from benchmarks.scaling.run import Run, measure
from benchmarks.system.stack import running_system
from tests.support import songs

MOST = (1, 2)
SECONDS = 8.0
PRICE_CPU_HOUR = 0.04
"""As the default of K1_CATALOGUE_PRICE_CPU_HOUR."""


def policy(most: int) -> Policy:
    """Return the policy of a run with at most this number of workers."""
    return Policy(target=1, most=most, polling_s=5, cooldown_s=15, removal_period_s=10)


def main() -> None:
    """Measure with one worker at most, then with two."""
    parser = argparse.ArgumentParser(description="Measure the scaling of analysis.")
    parser.add_argument("--songs", type=int, default=200)
    parser.add_argument("--picture", type=Path, help="where to draw the measurements")
    arguments = parser.parse_args()
    os.environ["K1_ANALYSIS_ROLE"] = "front"
    runs: dict[str, Run] = {}
    with (
        tempfile.TemporaryDirectory(prefix="k1-scaling-") as folder,
        running_system(Path(folder) / "home") as stack,
    ):
        for number, most in enumerate(MOST):
            made = [
                songs.song(10_000 * (number + 1) + seed, seconds=SECONDS) for seed in range(arguments.songs)
            ]
            title = f"{arguments.songs} songs, at most {most} worker{'s' * (most > 1)}"
            runs[title] = asyncio.run(measure(stack, made, policy(most)))
            print(f"{title}: load {os.getloadavg()[0]:.1f} at the end", flush=True)
    print(markdown_table(_HEADER, [_row(title, run) for title, run in runs.items()]))
    if arguments.picture:
        draw(runs, arguments.picture)


_HEADER = (
    f"songs of {SECONDS:.0f} s",
    "seconds to the last",
    "songs/min",
    "wait s: median / p95",
    "worker seconds",
    "CPU s of the analyses",
    "cost for 1,000 songs, USD",
)


def _row(title: str, run: Run) -> list[str]:
    count = len(run.completed)
    return [
        title,
        f"{run.elapsed_s:.0f}",
        f"{60 * count / run.elapsed_s:.0f}",
        f"{median(run.waits_s):.0f} / {percentile_95(run.waits_s):.0f}",
        f"{run.pod_seconds:.0f}",
        f"{sum(run.cpu_s):.0f}",
        f"{run.pod_seconds / 3600 * PRICE_CPU_HOUR / count * 1000:.3f}",
    ]


if __name__ == "__main__":
    main()
