"""Deployments under fire, over and over: `python -m tests.chaos.deployments --runs 200 --seed 1`.

Each run is drawn from its seed (`--seed`, `--seed` + 1 ...): a line each, and a summary. What a failed run left
behind is kept, and the command that repeats it is printed.
"""

import argparse
import asyncio
import shutil
import sys
import time

import uvloop

from tests.chaos.rollout import Report, run_scenario
from tests.chaos.scenarios import draw
from tests.chaos.world import World


def reproduction(seed: int, devices: int) -> str:
    return f"python -m tests.chaos.deployments --runs 1 --seed {seed} --devices {devices}"


def run_one(world: World, seed: int, devices: int) -> Report:
    """One run on a world that was started."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_scenario(world, draw(seed, devices)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=100)
    asked = parser.parse_args()
    reports, failed = list[Report](), list[int]()
    world, began = _started(), time.monotonic()
    try:
        for seed in range(asked.seed, asked.seed + asked.runs):
            try:
                report = run_one(world, seed, asked.devices)
            except Exception as error:  # noqa: BLE001  the harness is the defendant here, the other runs go on
                print(f"{seed:>6} BROKEN {error!r}", flush=True)
                world, _ = _started(), world.stop()
                failed.append(seed)
                continue
            reports.append(report)
            print(report, flush=True)
            if report.problems:
                failed.append(seed)
                kept = world.folder / f"failed-{seed}"
                print("\n".join(f"         {problem}" for problem in report.problems[:10]))
                print(f"         kept in {kept}; again: {reproduction(seed, asked.devices)}", flush=True)
                world.stop()
                world = _started()
    finally:
        world.stop()
    if not failed:
        shutil.rmtree(world.folder)
    ended = ", ".join(
        f"{sum(r.status == status for r in reports)} {status}"
        for status in sorted({r.status for r in reports})
    )
    print(
        f"{asked.runs} runs in {time.monotonic() - began:.0f} s: {len(failed)} failed {failed or ''}; {ended}"
    )
    sys.exit(bool(failed))


def _started() -> World:
    world = World.temporary()
    world.start()
    return world


if __name__ == "__main__":
    main()
