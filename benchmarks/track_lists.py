"""Measures lists of 100,000 tracks: without a cache, and with one in the process that every event empties.

Starts embedded servers. Prints, for each kind of list, the time of the catalogue from the query to the JSON of the
page. Then it mixes reads of these lists with changes of tracks, in several ratios, and compares the same mix with and
without the cache: the share of reads that the cache answers, and the times of all reads.

    python -m benchmarks.track_lists [tracks] [repetitions]
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.figures import markdown_table, percentile_95
from k1_catalogue.migrate import migrate
from k1_catalogue.tracks.list_store import list_tracks
from k1_catalogue.tracks.rebuild_store import rebuild_totals
from k1_catalogue.tracks.search import index_text, sort_key
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_contracts.messages.catalogue.tracks import ListTracks
from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import PostgresSettings
from tests.support.database import temporary_database

WORDS: Final = [
    "night",
    "drive",
    "city",
    "rain",
    "blue",
    "fire",
    "love",
    "dance",
    "star",
    "moon",
    "road",
    "train",
    "light",
    "dream",
    "storm",
    "river",
    "gold",
]
LISTS: Final = {
    "newest": ListTracks(),
    "ready, by F-measure": ListTracks(status="ready", sort="f_measure"),
    "title": ListTracks(sort="title"),
    "F-measure 0.90 to 0.95": ListTracks(min_f_measure=0.9, max_f_measure=0.95),
    "F-measure from 0.2": ListTracks(min_f_measure=0.2),
    "frequent tag (25 %)": ListTracks(tag=["t1"]),
    "rare tag (1 %)": ListTracks(tag=["rare"]),
    "search": ListTracks(search="night rain"),
    "offset 90,000": ListTracks(offset=90_000),
}
READS_PER_CHANGE: Final = (1, 10, 100, 1000)


def main(count: int, repetitions: int) -> None:
    """Run the benchmark on an own database and print its tables."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedStack(Path(folder)) as stack,
        temporary_database(stack.urls.environment()["K1_POSTGRES_DSN"], "lists", migrate) as settings,
    ):
        asyncio.run(measure(settings, count, repetitions))


async def measure(settings: PostgresSettings, count: int, repetitions: int) -> None:
    """Fill the database and print the tables."""
    async with await open_pool(settings, "benchmark") as pool:
        await insert_tracks(pool, count)
        await measure_lists(pool, repetitions)
        await measure_mixes(pool, repetitions)


async def insert_tracks(pool: Pool, count: int) -> None:
    """Add tracks without events and measure the table for the planner."""
    rng = random.Random(1)
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE catalogue.tracks DISABLE TRIGGER USER")
        rows: list[tuple[object, ...]] = []
        for number in range(count):
            title = " ".join(rng.choices(WORDS, k=3)) + f" {number % 5000}"
            tags = [f"t{number % 4}", *(["rare"] if number % 100 == 1 else [])]
            status = "ready" if number % 5 < 4 else "failed"
            figure = rng.random() if status == "ready" else None
            text = index_text(title, f"artist {number % 300}", tags)
            rows.append((f"trk_{number:026}", title, tags, status, figure, text, sort_key(title), number))
        await connection.executemany(
            """
            INSERT INTO catalogue.tracks (id, title, artist, tags, preset, filename, audio, status, current_version,
                duration_ms, bpm, f_measure, search, title_key, created_at, updated_at)
            VALUES ($1, $2, 'artist', $3, 'edm', 'a.mp3', '{}', $4, 1, 240000 * $5::float8, 60 + 120 * $5::float8, $5::float8,
                $6::text::tsvector, $7, '2026-01-01Z'::timestamptz + $8 * interval '1 s', now())
            """,
            rows,
            timeout=600,
        )
        await connection.execute("ALTER TABLE catalogue.tracks ENABLE TRIGGER USER")
    async with pool.acquire() as connection:
        await rebuild_totals(connection)
    await pool.execute("VACUUM ANALYZE catalogue.tracks", timeout=600)


async def read_page(pool: Pool, query: ListTracks) -> bytes:
    """Return the JSON of a page, as the gateway sends it."""
    return (await list_tracks(pool, query)).to_json()


async def measure_lists(pool: Pool, repetitions: int) -> None:
    """Print the time of each list, read one after the other."""
    rows: list[tuple[str, ...]] = []
    for name, query in LISTS.items():
        page = b""
        times: list[float] = []
        for _ in range(repetitions):
            started = time.perf_counter()
            page = await read_page(pool, query)
            times.append((time.perf_counter() - started) * 1e3)
        rows.append((name, f"{median(times):.1f}", f"{percentile_95(times):.1f}", f"{len(page) / 1000:.1f}"))
    print(markdown_table(("list", "median (ms)", "p95 (ms)", "page (kB)"), rows), "\n")


async def measure_mixes(pool: Pool, repetitions: int) -> None:
    """Print the times of reads that are mixed with changes, with and without the cache."""
    rows: list[tuple[str, ...]] = []
    for ratio in READS_PER_CHANGE:
        reads = max(repetitions, ratio) * 4
        cache: dict[str, bytes] = {}

        async def cached(name: str, cache: dict[str, bytes] = cache) -> bytes:
            if name not in cache:
                cache[name] = await read_page(pool, LISTS[name])
            return cache[name]

        async def uncached(name: str) -> bytes:
            return await read_page(pool, LISTS[name])

        without, _ = await run_mix(pool, uncached, cache, reads, ratio)
        with_cache, hits = await run_mix(pool, cached, cache, reads, ratio)
        rows.append(
            (
                f"{ratio}", f"{reads}", f"{sum(without) / reads:.2f}", f"{percentile_95(without):.1f}",
                f"{hits / reads:.0%}", f"{sum(with_cache) / reads:.2f}", f"{percentile_95(with_cache):.1f}",
            )
        )  # fmt: skip
    header = (
        "reads per change",
        "reads",
        "mean (ms)",
        "p95 (ms)",
        "hits",
        "mean with cache (ms)",
        "p95 (ms)",
    )
    print(markdown_table(header, rows))


async def run_mix(
    pool: Pool, read: Callable[[str], Awaitable[bytes]], cache: dict[str, bytes], reads: int, ratio: int
) -> tuple[list[float], int]:
    """Return the times of the reads in ms, and how many the cache answered; each change empties the cache."""
    rng, names = random.Random(2), list(LISTS)
    times: list[float] = []
    hits = 0
    for number in range(reads):
        if number % ratio == 0:
            await pool.execute(
                "UPDATE catalogue.tracks SET f_measure = $2 WHERE id = $1",
                f"trk_{rng.randrange(50_000):026}",
                rng.random(),
            )
            cache.clear()
        # The first list is the one that people open most.
        name = names[0] if rng.random() < 0.6 else rng.choice(names)
        hits += name in cache
        started = time.perf_counter()
        await read(name)
        times.append((time.perf_counter() - started) * 1e3)
    return times, hits


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [100_000, 200][len(given) :]))
