"""What the users do: lists, pages, searches, details, the state of a job, and uploads."""

import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.load.client import Client, Reply

LISTS: Final = (
    "/tracks?limit=50",
    "/tracks?limit=50&status=ready",
    "/tracks?limit=50&preset=edm",
    "/tracks?limit=50&sort=title",
    "/tracks?limit=50&sort=bpm",
    "/tracks?limit=50&sort=f_measure",
    "/tracks?limit=50&tag=rare",
    "/tracks?limit=50&min_f_measure=0.9",
)
SEARCHES: Final = ("night rain", "gold", "dream storm 12", "hart", "rivers", "moon train")
SONG_S: Final = 8.0
"""The length of an uploaded song."""
_BOUNDARY: Final = "k1loadboundary"


@dataclass(frozen=True, slots=True)
class Song:
    """A file to upload."""

    name: str
    content: bytes


@dataclass(slots=True)
class User:
    """One user with a list that was read up to a cursor."""

    client: Client
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Chooses what a user does next, at random."""

    actions: Sequence[tuple[str, int, Callable[[User], Awaitable[Reply]]]]
    """Name, weight, and the function that does it."""

    def choose(self, rng: random.Random) -> tuple[str, Callable[[User], Awaitable[Reply]]]:
        """Return the name of an action and its function."""
        name, _, act = rng.choices(self.actions, [weight for _, weight, _ in self.actions])[0]
        return name, act


def target_scenario(rng: random.Random, tracks: Sequence[str], jobs: Sequence[str]) -> Scenario:
    """Return the scenario of the target: the newest tracks, details and states of jobs, in equal shares."""
    return Scenario(
        (
            ("list", 1, lambda user: user.client.get(LISTS[0])),
            ("detail", 1, lambda user: user.client.get(f"/tracks/{rng.choice(tracks)}")),
            ("job status", 1, lambda user: user.client.get(f"/analysis/jobs/{rng.choice(jobs)}")),
        )
    )


def browsing_scenario(rng: random.Random, tracks: Sequence[str], jobs: Sequence[str]) -> Scenario:
    """Return the scenario of users who browse: any list, its next page, searches, details and jobs."""

    async def read_list(user: User) -> Reply:
        path = rng.choice(LISTS)
        reply = await user.client.get(path)
        user.cursor = _next_page(path, reply)
        return reply

    async def read_page(user: User) -> Reply:
        if user.cursor is None:
            return await read_list(user)
        path = user.cursor
        reply = await user.client.get(path)
        user.cursor = _next_page(path.partition("&cursor=")[0], reply)
        return reply

    return Scenario(
        (
            ("list", 3, read_list),
            ("next page", 1, read_page),
            ("search", 1, lambda user: user.client.get(_search_path(rng))),
            ("detail", 3, lambda user: user.client.get(f"/tracks/{rng.choice(tracks)}")),
            ("job status", 2, lambda user: user.client.get(f"/analysis/jobs/{rng.choice(jobs)}")),
        )
    )


async def upload(client: Client, song: Song) -> tuple[Reply, str]:
    """Upload a song; return the reply and the id of its job."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{song.name}"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    body = head.encode() + song.content + f"\r\n--{_BOUNDARY}--\r\n".encode()
    reply = await client.post("/tracks/upload", body, f"multipart/form-data; boundary={_BOUNDARY}")
    return reply, json.loads(reply.body).get("job_id", "")


async def job_status(client: Client, job: str) -> str:
    """Return the status of a job; `unknown` as long as the catalogue does not know it."""
    reply = await client.get(f"/analysis/jobs/{job}")
    return json.loads(reply.body).get("status", "unknown") if reply.status == 200 else "unknown"


def unique_name() -> str:
    """Return the name of a file that was not uploaded before."""
    return f"load-{time.time_ns()}.wav"


def _search_path(rng: random.Random) -> str:
    return f"/tracks?limit=50&search={rng.choice(SEARCHES).replace(' ', '%20')}"


def _next_page(path: str, reply: Reply) -> str | None:
    cursor = json.loads(reply.body).get("next_cursor") if reply.status == 200 else None
    return f"{path}&cursor={cursor}" if cursor else None
