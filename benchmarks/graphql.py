"""Compares one GraphQL query for a whole track with the HTTP requests that it replaces, in one run against a stack.

    ./k1 up
    .venv/bin/python -m benchmarks.graphql --home .k1 --rounds 200

Both are sent one after the other by one client; the HTTP requests once in turn and once all at the same time.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from k1_cli.stack.embedded.home import Home
from k1_cli.stack.running_stack import require_stack

QUERY = """
query($id: ID!) {
  track(id: $id) {
    id title artist bpm status tags notes
    current { version summary { bpm beat_count } metrics artefacts { name status url size_bytes } job { status elapsed_ms } }
    history(limit: 20) { items { at action actor { name } } }
    deployments { id status }
    similar(limit: 5) { items { distance track { title } } }
  }
}
"""


def paths_of(track_id: str, job_id: str) -> list[str]:
    """Return the paths that hold what the query asks for."""
    track = f"/tracks/{track_id}"
    return [
        track, f"{track}/versions/1", f"{track}/versions/1/artefacts", f"{track}/history?limit=20",
        f"{track}/similar?limit=5", f"/deployments?track_id={track_id}", f"/analysis/jobs/{job_id}",
    ]  # fmt: skip


async def time_rounds(name: str, rounds: int, run: Callable[[], Awaitable[object]]) -> dict[str, Any]:
    """Print and return the times of several rounds."""
    times: list[float] = []
    for number in range(rounds + 10):
        start = time.perf_counter()
        await run()
        if number >= 10:
            times.append(1000 * (time.perf_counter() - start))
    p50, p95 = np.percentile(times, (50, 95))
    print(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms (n {rounds})", flush=True)
    return {"name": name, "latency_ms": {"p50": float(p50), "p95": float(p95)}, "n": rounds}


async def measure(url: str, key: str, rounds: int, track: str | None = None) -> list[dict[str, Any]]:
    """Measure all three ways with a track that has a map, by default the newest."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers) as http:
        if track is None:
            track = str((await http.get("/tracks?status=ready&limit=1")).json()["items"][0]["id"])
        detail = (await http.get(f"/tracks/{track}")).json()
        paths = paths_of(track, detail["versions"][-1]["job_id"])

        async def get(path: str) -> None:
            (await http.get(path)).raise_for_status()

        async def in_turn() -> None:
            for path in paths:
                await get(path)

        async def together() -> None:
            await asyncio.gather(*map(get, paths))

        async def graphql() -> None:
            answer = await http.post("/graphql", json={"query": QUERY, "variables": {"id": track}})
            assert "errors" not in answer.json(), answer.text

        return [
            await time_rounds(f"{len(paths)} requests in turn", rounds, in_turn),
            await time_rounds(f"{len(paths)} requests together", rounds, together),
            await time_rounds("one GraphQL query", rounds, graphql),
        ]


def main() -> None:
    """Measure a running stack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    home = Home(arguments.home)
    stack = require_stack(arguments.home)
    asyncio.run(measure(stack.url, home.api_key_file.read_text().strip(), arguments.rounds))


if __name__ == "__main__":
    main()
