"""Measures the whole system against a plain baseline in the same run.

`.venv/bin/python -m benchmarks.system [upload] [burst] [api] [start] [beats]`; without names, all of them run.
Prints a Markdown table for each measurement, for docs/benchmarks.md.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.system import api, beats, burst, start, upload

MEASUREMENTS: dict[str, Callable[[Path], str]] = {
    "upload": upload.measure,
    "burst": burst.measure,
    "api": api.measure,
    "start": start.measure,
    "beats": beats.measure,
}


def main() -> None:
    """Run the named measurements."""
    names = sys.argv[1:] or list(MEASUREMENTS)
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        sys.exit(f"unknown measurement: {', '.join(unknown)}; choose from {', '.join(MEASUREMENTS)}")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{platform.node()}: {platform.machine()}, {cores} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the start\n"
    )
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"k1-bench-{name}-") as folder:
            print(f"## {name}\n\n{MEASUREMENTS[name](Path(folder))}\n", flush=True)


if __name__ == "__main__":
    main()
