"""Runs many chaos scenarios of deployments: `python -m tests.chaos.deployments --runs 200 --seed 1`.

Each run is generated from its seed (`--seed`, `--seed` + 1 ...) and prints a line. The files of a failed run are kept,
and the command that repeats it is printed.
"""

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.chaos.deployments.scenario_runner import ScenarioRunner, reproduction


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--keep", action="store_true", help="keep what happened in good runs as well")
    options = parser.parse_args()
    ends, failed, began = Counter[str](), list[int](), time.monotonic()
    with ScenarioRunner(
        Path(tempfile.mkdtemp(prefix="k1-chaos-kept-")), keep_all=options.keep
    ) as scenario_runner:
        for seed in range(options.seed, options.seed + options.runs):
            status = _run(scenario_runner, seed, options.devices)
            ends[status or "failed runs"] += 1
            failed += [] if status else [seed]
        took = time.monotonic() - began
    with suppress(OSError):
        scenario_runner.kept.rmdir()  # nothing was kept
    summary = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{options.runs} runs in {took:.0f} s: {summary}{f'; failed: {failed}' if failed else ''}")
    sys.exit(bool(failed))


def _run(scenario_runner: ScenarioRunner, seed: int, devices: int) -> str | None:
    """Return the final status of the first deployment, or None if the run has failed."""
    try:
        report = scenario_runner.run(seed, devices)
    except Exception:  # noqa: BLE001  a fault of the harness must not end the other runs
        traceback.print_exc()
        print(f"{seed:>6} BROKEN; again: {reproduction(seed, devices)}", flush=True)
        return None
    print(report, flush=True)
    if not report.problems:
        return report.views[0].status
    print("\n".join(f"         {problem}" for problem in report.problems[:10]))
    print(f"         kept in {scenario_runner.kept}; again: {reproduction(seed, devices)}", flush=True)
    return None


if __name__ == "__main__":
    main()
