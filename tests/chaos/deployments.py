"""Deployments under fire, over and over: `python -m tests.chaos.deployments --runs 200 --seed 1`.

Each run is drawn from its seed (`--seed`, `--seed` + 1 ...): a line each, and a summary. What a failed run left
behind is kept, and the command that repeats it is printed.
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

from tests.chaos.report import Report
from tests.chaos.rollout import run_scenario
from tests.chaos.scenarios import draw
from tests.chaos.world import World


def reproduction(seed: int, devices: int) -> str:
    return f"python -m tests.chaos.deployments --runs 1 --seed {seed} --devices {devices}"


class Stage:
    """A world for many runs: started for the first, and anew after one that failed."""

    def __init__(self, kept: Path, *, keep_all: bool = False) -> None:
        """`kept`: where what happened in failed runs goes, in all runs with `keep_all`."""
        self.kept = kept
        self._keep_all = keep_all
        self._world: World | None = None

    def run(self, seed: int, devices: int) -> Report:
        """One run; an exception is the harness's own."""
        try:
            if self._world is None:
                self._world = World.temporary()
                self._world.start()
            with asyncio.Runner(loop_factory=_make_loop) as runner:
                report = runner.run(run_scenario(self._world, draw(seed, devices)))
        except BaseException:
            self._end()
            raise
        if report.problems or self._keep_all:
            report.keep(self.kept / f"seed-{seed}", self._world.logs())
        if report.problems:
            self._end()
        return report

    def _end(self) -> None:
        world, self._world = self._world, None
        if world:
            try:
                world.stop()
            finally:
                shutil.rmtree(world.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def _make_loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(_tell)
    return loop


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The MQTT library asks to write to sockets that it has closed when a server is killed: no news."""
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
    asked = parser.parse_args()
    ends, failed, began = Counter[str](), list[int](), time.monotonic()
    with Stage(Path(tempfile.mkdtemp(prefix="k1-chaos-kept-")), keep_all=asked.keep) as stage:
        for seed in range(asked.seed, asked.seed + asked.runs):
            status = _run(stage, seed, asked.devices)
            ends[status or "failed runs"] += 1
            failed += [] if status else [seed]
        took = time.monotonic() - began
    with suppress(OSError):
        stage.kept.rmdir()  # nothing was kept
    told = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    print(f"{asked.runs} runs in {took:.0f} s: {told}{f'; failed: {failed}' if failed else ''}")
    sys.exit(bool(failed))


def _run(stage: Stage, seed: int, devices: int) -> str | None:
    """The status that the (first) deployment ended with; None: the run has failed."""
    try:
        report = stage.run(seed, devices)
    except Exception:  # noqa: BLE001  the harness is the defendant here, the other runs go on
        traceback.print_exc()
        print(f"{seed:>6} BROKEN; again: {reproduction(seed, devices)}", flush=True)
        return None
    print(report, flush=True)
    if not report.problems:
        return report.views[0].status
    print("\n".join(f"         {problem}" for problem in report.problems[:10]))
    print(f"         kept in {stage.kept}; again: {reproduction(seed, devices)}", flush=True)
    return None


if __name__ == "__main__":
    main()
