"""Measures the API with 100,000 tracks and two gateways, signed in, while songs are uploaded.

    .venv/bin/python -m benchmarks.load                       the target, then 100, 1,000 and 10,000 users
    .venv/bin/python -m benchmarks.load --home .load target   only the target; the stack's data is kept in .load

`target`: the newest 50 tracks, details and states of jobs in equal shares, at --rate requests per second.
`users`: users who browse (lists with filters and sorts, next pages, searches, details, jobs), each acting every --think
seconds; 10,000 users with 10 s are 1,000 requests per second.

Starts a stack with `k1 up` (or uses the one that runs on --home), fills it with copies of one analysed song, starts a
second gateway, and makes twenty users with API keys, to whom the default rate limits of clients on this machine apply.
Requests follow a random schedule that does not wait for responses (open loop). The generator is one process, which
shares the machine; its own CPU time is printed too. An own small client is used because the usual load generators of
Python (locust, k6's scripts apart) need more CPU time for a request than the gateway does.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import uvloop

from benchmarks.load.client import Client
from benchmarks.load.cpu import CpuMeter
from benchmarks.load.generator import Measured, send_schedule, send_uploads
from benchmarks.load.report import Run
from benchmarks.load.scenarios import Scenario, Song, User, browsing_scenario, target_scenario, unique_name
from benchmarks.load.seed import make_keys, sample_ids, seed_tracks
from benchmarks.system.stack import running_system
from k1_cli.stack.running_stack import RunningStack, find_stack
from k1_platform.auth.nkeys import NatsKeys
from tests.support import songs as test_songs
from tests.support.service_process import running_service

_KEYS: Final = 20
_SAMPLE: Final = 5_000
_WARM_UP_S: Final = 3.0
_SONG_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Target:
    """The running system: its gateways, its processes, and what is known of its data."""

    urls: Sequence[str]
    pids: dict[str, int]
    keys: Sequence[str]
    tracks: Sequence[str]
    jobs: Sequence[str]


def main() -> None:
    """Run the named scenarios."""
    arguments = _parse_arguments()
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="k1-load-")))
        target = cleanup.enter_context(_running_target(arguments, folder))
        runs = uvloop.run(_measure(target, arguments))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps([run.to_json() for run in runs], indent=2) + "\n")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", help="target, users; by default both", metavar="SCENARIO")
    parser.add_argument("--home", type=Path, help="keep the stack's data here, for the next run; default: nowhere")
    parser.add_argument("--tracks", type=int, default=100_000, help="how many tracks (default: 100000)")
    parser.add_argument("--rate", type=float, default=500, help="requests per second of `target` (default: 500)")
    parser.add_argument("--users", type=int, nargs="+", default=[100, 1_000, 10_000], help="the sizes of `users`")
    parser.add_argument("--think", type=float, default=10, help="seconds from action to action of a user")
    parser.add_argument("--seconds", type=float, default=20, help="how long each run lasts (default: 20)")
    parser.add_argument("--upload-every", type=float, default=5, help="seconds between uploads; 0: none (default: 5)")
    parser.add_argument("--gateways", type=int, choices=(1, 2), default=2)
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - {"target", "users"}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; choose from target, users")
    return arguments


@contextmanager
def _running_target(arguments: argparse.Namespace, folder: Path) -> Iterator[Target]:
    with ExitStack() as cleanup:
        home = arguments.home or folder / "home"
        stack = find_stack(home) or cleanup.enter_context(running_system(home, sign_in=True))
        urls, pids = [stack.url], _processes(stack)
        if arguments.gateways > 1:
            own = {"K1_NATS_CREDS": str(NatsKeys(stack.home.nats_keys).service_credentials("gateway"))}
            second = cleanup.enter_context(running_service("gateway", stack.environment | own, folder))
            urls.append(second.url)
            pids["gateway 2"] = second.process.pid
        song = _analysed_song(stack, folder)
        keys, tracks, jobs = asyncio.run(_prepare(stack, song, arguments.tracks))
        yield Target(urls, pids, keys, tracks, jobs)


def _processes(stack: RunningStack) -> dict[str, int]:
    return {each.name: each.pid for each in (*stack.servers, *stack.services) if each.pid is not None}


def _analysed_song(stack: RunningStack, folder: Path) -> str:
    """Return the oldest track; upload a song where there is none."""
    key = stack.home.api_key_file.read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=60) as http:
        found = http.get("/tracks", params={"sort": "oldest", "limit": 1, "tag": "load-original"}).json()["items"]
        if found:
            return found[0]["id"]
        path = test_songs.write(folder / "original.wav", test_songs.song(77, seconds=_SONG_S))
        with path.open("rb") as file:
            form = {"title": "The original", "tags": "load-original", "preset": "edm"}
            sent = http.post("/tracks/upload", files={"file": (path.name, file)}, data=form)
        track: str = sent.raise_for_status().json()["track_id"]
        while not ((answer := http.get(f"/tracks/{track}")).is_success and _has_ended(answer)):
            pass
        return track


def _has_ended(answer: httpx.Response) -> bool:
    return answer.json()["track"]["status"] in {"ready", "warning", "failed"}


async def _prepare(stack: RunningStack, song: str, count: int) -> tuple[list[str], list[str], list[str]]:
    connection = await asyncpg.connect(stack.environment["K1_POSTGRES_DSN"])
    try:
        await seed_tracks(connection, song, count)
        keys = await make_keys(connection, _KEYS)
        return keys, *(await sample_ids(connection, _SAMPLE))
    finally:
        await connection.close()


async def _measure(target: Target, arguments: argparse.Namespace) -> list[Run]:
    rng = random.Random(1)
    runs: list[Run] = []
    names = arguments.scenarios or ["target", "users"]
    if "target" in names:
        scenario = target_scenario(rng, target.tracks, target.jobs)
        runs.append(await _run("target", target, scenario, 100, arguments.rate, arguments, rng))
        print(runs[-1].to_markdown(), "\n", flush=True)
    for count in arguments.users if "users" in names else ():
        scenario = browsing_scenario(rng, target.tracks, target.jobs)
        rate = count / arguments.think
        runs.append(await _run(f"{count:,} users", target, scenario, count, rate, arguments, rng))
        print(runs[-1].to_markdown(), "\n", flush=True)
    return runs


async def _run(
    name: str,
    target: Target,
    scenario: Scenario,
    count: int,
    rate: float,
    arguments: argparse.Namespace,
    rng: random.Random,
) -> Run:
    """Warm up, then measure with uploads beside."""
    users = [
        User(Client(target.urls[each % len(target.urls)], target.keys[each // len(target.urls) % len(target.keys)]))
        for each in range(count)
    ]
    await send_schedule(scenario, users, min(rate, 100), _WARM_UP_S, rng, Measured())
    measured = Measured()
    songs = _songs(arguments.upload_every, arguments.seconds)
    uploaders = [Client(target.urls[each % len(target.urls)], target.keys[each]) for each in range(len(songs))]
    meter = CpuMeter.start(target.pids)
    async with asyncio.TaskGroup() as group:
        if songs:
            group.create_task(send_uploads(uploaders, songs, arguments.upload_every, measured))
        await send_schedule(scenario, users, rate, arguments.seconds, rng, measured)
        cpu = meter.read()
    for client in (*uploaders, *(user.client for user in users)):
        client.close()
    return Run(name, count, rate, measured, cpu)


def _songs(every_s: float, seconds: float) -> list[Song]:
    """Return songs that were never uploaded, as an analysis is not repeated."""
    if not every_s:
        return []
    seed = random.SystemRandom()
    with tempfile.TemporaryDirectory() as folder:
        found: list[Song] = []
        for _ in range(int(seconds // every_s)):
            path = Path(folder) / unique_name()
            test_songs.write(path, test_songs.song(seed.randrange(2**31), seconds=_SONG_S))
            found.append(Song(path.name, path.read_bytes()))
        return found


if __name__ == "__main__":
    main()
