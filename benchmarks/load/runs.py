"""Runs the scenarios one after the other against a running system, with uploads beside."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load.client import Client
from benchmarks.load.cpu import CpuMeter
from benchmarks.load.generator import Measured, Schedule, send_schedule, send_uploads
from benchmarks.load.report import Run
from benchmarks.load.scenarios import (
    SONG_S,
    Scenario,
    Song,
    User,
    browsing_scenario,
    target_scenario,
    unique_name,
)
from benchmarks.load.target import Target
from tests.support import songs as test_songs

_WARM_UP_S: Final = 3.0
_WARM_UP_RATE: Final = 100.0
_CLIENTS: Final = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and how long each time."""

    rate: float
    """Requests per second of the target."""
    users: Sequence[int]
    """The numbers of users who browse."""
    think_s: float
    """The seconds from action to action of a user."""
    seconds: float
    upload_every_s: float
    """The seconds between uploads; 0: none."""


async def run_target(target: Target, plan: Plan) -> list[Run]:
    """Measure the target with one gateway and with both."""
    rng = random.Random(1)
    scenario = target_scenario(rng, target.tracks, target.jobs)
    runs: list[Run] = []
    for urls in (target.urls[:1], target.urls):
        name = f"target, {len(urls)} gateway{'s' * (len(urls) > 1)}"
        users = _users(target, urls, _CLIENTS)
        runs.append(await _run(name, target, scenario, users, Schedule(plan.rate, plan.seconds, rng), plan))
    return runs


async def run_users(target: Target, plan: Plan) -> list[Run]:
    """Measure each number of users who browse, with both gateways."""
    rng = random.Random(2)
    runs: list[Run] = []
    for count in plan.users:
        scenario = browsing_scenario(rng, target.tracks, target.jobs)
        schedule = Schedule(count / plan.think_s, plan.seconds, rng)
        users = _users(target, target.urls, count)
        runs.append(await _run(f"{count:,} users", target, scenario, users, schedule, plan))
    return runs


def _users(target: Target, urls: Sequence[str], count: int) -> list[User]:
    keys = target.keys
    return [
        User(Client(urls[each % len(urls)], keys[each // len(urls) % len(keys)])) for each in range(count)
    ]


async def _run(  # noqa: PLR0917  what a run has
    name: str, target: Target, scenario: Scenario, users: list[User], schedule: Schedule, plan: Plan
) -> Run:
    """Warm up, then measure with uploads beside, print the figures and return them."""
    warm_up = Schedule(min(schedule.rate, _WARM_UP_RATE), _WARM_UP_S, schedule.rng)
    await send_schedule(scenario, users, warm_up, Measured())
    measured = Measured()
    songs = _songs(plan.upload_every_s, schedule.seconds)
    uploaders = [users[each % len(users)].client.copy() for each in range(len(songs))]
    meter = CpuMeter.start(target.pids)
    async with asyncio.TaskGroup() as group:
        if songs:
            group.create_task(send_uploads(uploaders, songs, plan.upload_every_s, measured))
        await send_schedule(scenario, users, schedule, measured)
        cpu = meter.read()
    for client in (*uploaders, *(user.client for user in users)):
        client.close()
    run = Run(name, len(users), schedule.rate, measured, cpu)
    print(run.to_markdown(), "\n", flush=True)
    return run


def _songs(every_s: float, seconds: float) -> list[Song]:
    """Return songs that were never uploaded, as an analysis is not repeated."""
    if not every_s:
        return []
    seed = random.SystemRandom()
    with tempfile.TemporaryDirectory() as folder:
        found: list[Song] = []
        for _ in range(int(seconds // every_s)):
            path = Path(folder) / unique_name()
            test_songs.write(path, test_songs.song(seed.randrange(2**31), seconds=SONG_S))
            found.append(Song(path.name, path.read_bytes()))
        return found
