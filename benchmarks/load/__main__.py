"""Measures the API with 100,000 tracks and two gateways, signed in, while songs are uploaded.

    .venv/bin/python -m benchmarks.load --out load.json           all scenarios
    .venv/bin/python -m benchmarks.load --home .load target       one scenario; the stack's data is kept in .load

`target`: the newest 50 tracks, details and states of jobs in equal shares, at --rate requests per second, with one
gateway and with two.
`users`: 100, 1,000 and 10,000 users who browse (lists with filters and sorts, next pages, searches, details, jobs), each
acting every --think seconds; 10,000 users with 10 s are 1,000 requests per second.
`graphql`: one query for a track against the seven requests that it replaces, from one client.

Starts a stack with `k1 up` (or uses the one that runs on --home), fills it with copies of one analysed song, starts a
second gateway, and makes twenty users with API keys, to whom the default rate limits of clients on this machine apply.
Requests follow a random schedule that does not wait for responses (open loop). The generator is one process, which
shares the machine; its own CPU time is printed too. It has a small client of its own, because the clients of the usual
load generators need more CPU time for each request than the gateway does.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import graphql
from benchmarks.load.runs import Plan, run_target, run_users
from benchmarks.load.target import Target, running_target

_SCENARIOS: Final = ("target", "users", "graphql")


def main() -> None:
    """Run the named scenarios, print their tables and write the figures as JSON."""
    arguments = _parse_arguments()
    plan = Plan(
        rate=arguments.rate,
        users=arguments.users,
        think_s=arguments.think,
        seconds=arguments.seconds,
        upload_every_s=arguments.upload_every,
    )
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="k1-load-")))
        target = cleanup.enter_context(running_target(arguments.home, folder, arguments.tracks))
        names = arguments.scenarios or _SCENARIOS
        figures = uvloop.run(_measure(target, plan, names, arguments.rounds))
    text = json.dumps(figures, indent=2)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n")
    else:
        print(text)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenarios", nargs="*", help="target, users, graphql; by default all", metavar="SCENARIO")
    add("--home", type=Path, help="keep the stack's data here, for the next run; default: nowhere")
    add("--tracks", type=int, default=100_000, help="how many tracks (default: 100000)")
    add("--rate", type=float, default=500, help="requests per second of `target` (default: 500)")
    add("--users", type=int, nargs="+", default=[100, 1_000, 10_000], help="the sizes of `users`")
    add("--think", type=float, default=10, help="seconds from action to action of a user (default: 10)")
    add("--seconds", type=float, default=20, help="how long each run lasts (default: 20)")
    add("--upload-every", type=float, default=5, help="seconds between uploads; 0: none (default: 5)")
    add("--rounds", type=int, default=200, help="rounds of `graphql` (default: 200)")
    add("--out", type=Path, help="write the figures here as JSON instead of printing it")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(_SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; choose from {', '.join(_SCENARIOS)}")
    return arguments


async def _measure(target: Target, plan: Plan, names: Sequence[str], rounds: int) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    if "target" in names:
        figures += [run.to_json() for run in await run_target(target, plan)]
    if "users" in names:
        figures += [run.to_json() for run in await run_users(target, plan)]
    if "graphql" in names:
        figures += await graphql.measure(target.urls[0], target.keys[0], rounds, target.song)
    return figures


if __name__ == "__main__":
    main()
