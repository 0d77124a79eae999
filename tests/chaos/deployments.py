"""Runs many chaos scenarios of deployments: `python -m tests.chaos.deployments --runs 200 --seed 1`.

Each run is generated from its seed (`--seed`, `--seed` + 1 ...) and prints a line. The files of a failed run are kept,
and the command that repeats it is printed.
"""

import argparse
import asyncio
import errno
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
import uvloop

from tests.chaos.harness import ChaosHarness
from tests.chaos.report import RunReport
from tests.chaos.scenario_run import run_scenario
from tests.chaos.scenarios import generate_scenario


def reproduction(seed: int, devices: int) -> str:
    """Return the command that repeats a run."""
    return f"python -m tests.chaos.deployments --runs 1 --seed {seed} --devices {devices}"


class ScenarioRunner:
    """Runs scenarios on one harness, which is started for the first run and replaced after a failed one."""

    def __init__(self, kept: Path, *, keep_all: bool = False) -> None:
        """Write the files of failed runs (of all runs with `keep_all`) to the folder `kept`."""
        self.kept = kept
        self._keep_all = keep_all
        self._harness: ChaosHarness | None = None

    def run(self, seed: int, devices: int) -> RunReport:
        """Run the scenario of a seed; an exception means that the harness itself has failed."""
        try:
            if self._harness is None:
                self._harness = ChaosHarness.temporary()
                self._harness.start()
            with asyncio.Runner(loop_factory=_make_loop) as runner:
                report = runner.run(run_scenario(self._harness, generate_scenario(seed, devices)))
        except BaseException:
            self._stop_harness()
            raise
        if report.problems or self._keep_all:
            report.keep(self.kept / f"seed-{seed}", self._harness.logs())
        if report.problems:
            self._stop_harness()
        return report

    def _stop_harness(self) -> None:
        harness, self._harness = self._harness, None
        if harness:
            try:
                harness.stop()
            finally:
                shutil.rmtree(harness.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_harness()


def _make_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(_handle_exception)
    return loop


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignore the errors of an MQTT library that writes to closed sockets after a server was killed."""
    error = context.get("exception")
    closed = isinstance(error, OSError) and error.errno == errno.EBADF
    if not closed and not isinstance(error, aiomqtt.MqttError):
        loop.default_exception_handler(context)


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
