"""Runs chaos scenarios of deployments one after the other on one harness."""

import asyncio
import errno
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
import uvloop

from tests.chaos.deployments.harness import ChaosHarness
from tests.chaos.deployments.report import RunReport
from tests.chaos.deployments.scenario_run import run_scenario
from tests.chaos.deployments.scenarios import generate_scenario


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
