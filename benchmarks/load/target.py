"""Runs what the benchmark measures: a stack with two gateways, a full catalogue, and users with API keys."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from benchmarks.load.scenarios import SONG_S
from benchmarks.load.seed import make_keys, sample_ids, seed_tracks
from benchmarks.system.stack import running_system
from k1_cli.stack.running_stack import RunningStack, find_stack
from k1_platform.auth.nkeys import NatsKeys
from tests.support import songs as test_songs
from tests.support.service_process import running_service
from tests.support.waiting import wait_until

_KEYS: Final = 20
_SAMPLE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Target:
    """The running system: its gateways, its processes, and what is known of its data."""

    urls: Sequence[str]
    pids: dict[str, int]
    keys: Sequence[str]
    tracks: Sequence[str]
    jobs: Sequence[str]
    song: str
    """The one track that was analysed here."""


@contextmanager
def running_target(kept: Path | None, folder: Path, tracks: int) -> Generator[Target]:
    """Run the stack with two gateways and so many tracks; `kept` is the home of one that may run already."""
    with ExitStack() as cleanup:
        home = kept or folder / "home"
        stack = find_stack(home) or cleanup.enter_context(running_system(home, sign_in=True))
        urls, pids = [stack.url], _processes(stack)
        own = {"K1_NATS_CREDS": str(NatsKeys(stack.home.nats_keys).service_credentials("gateway"))}
        second = cleanup.enter_context(running_service("gateway", stack.environment | own, folder))
        urls.append(second.url)
        pids["gateway 2"] = second.process.pid
        song = _analysed_song(stack, folder)
        keys, ids, jobs = asyncio.run(_prepare(stack, song, tracks))
        yield Target(urls, pids, keys, ids, jobs, song)


def _processes(stack: RunningStack) -> dict[str, int]:
    return {each.name: each.pid for each in (*stack.servers, *stack.services) if each.pid is not None}


def _analysed_song(stack: RunningStack, folder: Path) -> str:
    """Return the oldest track; upload a song where there is none."""
    key = stack.home.api_key_file.read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=60) as http:
        found = http.get("/tracks", params={"limit": 1, "tag": "load-original"}).raise_for_status().json()
        if found["items"]:
            return found["items"][0]["id"]
        path = test_songs.write(folder / "original.wav", test_songs.song(77, seconds=SONG_S))
        with path.open("rb") as file:
            form = {"title": "The original", "tags": "load-original", "preset": "edm"}
            sent = http.post("/tracks/upload", files={"file": (path.name, file)}, data=form)
        track: str = sent.raise_for_status().json()["track_id"]
        wait_until(
            lambda: (answer := http.get(f"/tracks/{track}")).is_success and _has_ended(answer),
            f"{track} is analysed",
        )
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
