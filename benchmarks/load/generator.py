"""Sends the requests of a scenario on a fixed schedule, beside uploads, and records how long each took.

The schedule does not wait for responses (open loop): a request that is sent late because the system is slow counts from
the time at which it was due, so a slow response also counts for those behind it (no coordinated omission).
"""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.load.client import Client, ClientError, Reply
from benchmarks.load.scenarios import Scenario, Song, User, job_status, upload

_ENDED: Final = frozenset({"completed", "failed", "cancelled"})
_POLL_S: Final = 0.5
_ANALYSIS_S: Final = 60.0
_DRAIN_S: Final = 20.0
"""How long responses are waited for after the last request; those that are missing then are errors."""


@dataclass(slots=True)
class Measured:
    """What a run has recorded: milliseconds from the due time to the end of the response, by action."""

    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter[str])
    ready_s: list[float] = field(default_factory=list[float])
    """Seconds from each upload until its analysis has ended."""
    lateness_ms: list[float] = field(default_factory=list[float])
    """How much too late the generator itself sent each request."""
    elapsed_s: float = 0.0

    @property
    def count(self) -> int:
        """Return the number of responses of the scenario, uploads apart."""
        return sum(len(times) for name, times in self.latencies_ms.items() if name != "upload")

    def note(self, name: str, due_s: float, reply: Reply) -> None:
        """Record a response."""
        if reply.status >= 400:
            self.errors[f"{name}: {reply.status}"] += 1
        self.latencies_ms[name].append((time.perf_counter() - due_s) * 1000)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often the users act, and for how long."""

    rate: float
    """Requests per second of all users together."""
    seconds: float
    rng: random.Random


async def send_schedule(
    scenario: Scenario, users: Sequence[User], schedule: Schedule, measured: Measured
) -> None:
    """Send requests by the users in turn, at random distances, and wait for the responses."""
    rng = schedule.rng

    async def act(user: User, due_s: float) -> None:
        name, action = scenario.choose(rng)
        try:
            measured.note(name, due_s, await action(user))
        except (ClientError, OSError) as error:
            measured.errors[f"{name}: {error}"] += 1

    order = list(users)
    rng.shuffle(order)
    tasks: set[asyncio.Task[None]] = set()
    started = due = time.perf_counter()
    number = 0
    while (due := due + rng.expovariate(schedule.rate)) < started + schedule.seconds:
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        measured.lateness_ms.append((time.perf_counter() - due) * 1000)
        task = asyncio.create_task(act(order[number % len(order)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    if tasks:
        _, missing = await asyncio.wait(tasks, timeout=_DRAIN_S)
        for task in missing:
            task.cancel()
        if missing:
            measured.errors["no response"] += len(missing)
    measured.elapsed_s = time.perf_counter() - started


async def send_uploads(
    clients: Sequence[Client], songs: Sequence[Song], every_s: float, measured: Measured
) -> None:
    """Upload a song every `every_s` seconds, and watch the job of each until it ends."""

    async def watch(client: Client, song: Song) -> None:
        try:
            await follow(client, song)
        except (ClientError, OSError, TimeoutError) as error:
            measured.errors[f"upload: {error!r}"] += 1

    async def follow(client: Client, song: Song) -> None:
        started = time.perf_counter()
        reply, job = await upload(client, song)
        measured.note("upload", started, reply)
        status = "" if job else "failed"
        async with asyncio.timeout(_ANALYSIS_S):
            while status not in _ENDED:
                await asyncio.sleep(_POLL_S)
                status = await job_status(client, job)
        if job:
            measured.ready_s.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for number, song in enumerate(songs):
            group.create_task(watch(clients[number % len(clients)], song))
            await asyncio.sleep(every_s)
