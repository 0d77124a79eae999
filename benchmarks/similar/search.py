"""Times the search for similar songs among many, by the index of pgvector and by comparing all, in one run.

    .venv/bin/python benchmarks/similar/search.py --tracks 100000

Vectors are drawn from 200 clusters, as songs of like styles lie; the queries are tracks of the table. Recall is the
share of the true ten neighbours, which comparing all finds, that the index finds too.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from k1_catalogue.migrate import migrate
from k1_catalogue.similarity import store
from k1_catalogue.similarity.exact_index import ExactIndex
from k1_catalogue.similarity.features import DIMENSIONS, VERSION, Vector
from k1_catalogue.similarity.store import Neighbour
from k1_cli.stack.embedded.embedded_stack import EmbeddedStack
from k1_contracts.ids import derived_id
from k1_platform.postgres.pool import Connection, Pool, open_pool
from k1_platform.settings import PostgresSettings

Search = Callable[[Connection, Vector, str, int], Awaitable[list[Neighbour]]]
LIMIT = 10
FILL_S = 1200


def draw_vectors(count: int) -> np.ndarray:
    """Return vectors in clusters whose spread is that of the corpus: a nearest song at about 1.8."""
    rng = np.random.default_rng(1)
    centres = 0.28 * rng.standard_normal((200, DIMENSIONS))
    return (centres[rng.integers(0, 200, count)] + 0.2 * rng.standard_normal((count, DIMENSIONS))).astype(
        np.float32
    )


async def fill(pool: Pool, vectors: np.ndarray) -> list[str]:
    """Add a track for each vector, and return their ids."""
    now = datetime.now(UTC)
    ids = [derived_id("trk", str(number)) for number in range(len(vectors))]
    tracks = [(one, one, [], "a.wav", "{}", "ready", 1, "", now, now) for one in ids]
    columns = (
        "id",
        "title",
        "tags",
        "filename",
        "audio",
        "status",
        "current_version",
        "search",
        "created_at",
        "updated_at",
    )
    async with pool.acquire() as connection:
        await connection.execute("CREATE TEMP TABLE t AS SELECT * FROM catalogue.tracks WITH NO DATA")
        await connection.execute("ALTER TABLE t ALTER search TYPE text")
        await connection.copy_records_to_table("t", records=tracks, columns=columns)
        names = ", ".join(columns)
        await connection.execute(
            f"INSERT INTO catalogue.tracks ({names}) SELECT {names.replace('search', 'search::tsvector')} FROM t",  # noqa: S608
            timeout=FILL_S,
        )
        await connection.execute(
            "INSERT INTO catalogue.versions (track_id, version, job_id, status, created_at)"
            " SELECT id, 1, id, 'ready', created_at FROM catalogue.tracks",
            timeout=FILL_S,
        )
        rows = [
            (one, 1, VERSION, [*vector.tolist(), *([0.0] * (store.STORED_LENGTH - DIMENSIONS))])
            for one, vector in zip(ids, vectors, strict=True)
        ]
        await connection.copy_records_to_table(
            "version_features", schema_name="catalogue", records=rows,
            columns=("track_id", "version", "features_version", "features"), timeout=FILL_S,
        )  # fmt: skip
        await connection.execute("ANALYZE", timeout=FILL_S)
    return ids


async def measure(
    pool: Pool, search: Search, vectors: np.ndarray, ids: list[str], chosen: np.ndarray
) -> list[list[str]]:
    """Print the times of the searches, and return what each found."""
    found: list[list[str]] = []
    times: list[float] = []
    async with pool.acquire() as connection:
        await search(connection, vectors[chosen[0]], ids[chosen[0]], LIMIT)
        for number in chosen:
            start = time.perf_counter()
            neighbours = await search(connection, vectors[number], ids[number], LIMIT)
            times.append(1000 * (time.perf_counter() - start))
            found.append([each.track["id"] for each in neighbours])
    p50, p95, p99 = np.percentile(times, (50, 95, 99))
    print(f"  p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms (n {len(times)})")
    return found


async def run(dsn: str, count: int, queries: int) -> None:
    """Fill a fresh database and measure both ways."""
    settings = PostgresSettings.model_validate({"dsn": dsn})
    await migrate(settings)
    async with await open_pool(settings, "benchmark") as pool:
        vectors = draw_vectors(count)
        start = time.perf_counter()
        ids = await fill(pool, vectors)
        print(f"{count:,} tracks written and indexed in {time.perf_counter() - start:.0f} s")
        chosen = np.random.default_rng(2).integers(0, count, queries)
        exact = ExactIndex()
        start = time.perf_counter()
        async with pool.acquire() as connection:
            await exact.nearest(connection, vectors[0], ids[0], 1)
        print(f"all compared (the vectors were read in {time.perf_counter() - start:.1f} s):")
        true = await measure(pool, exact.nearest, vectors, ids, chosen)
        print("index of pgvector:")
        near = await measure(pool, store.nearest_by_index, vectors, ids, chosen)
        shares = [len(set(one) & set(other)) / LIMIT for one, other in zip(true, near, strict=True)]
        print(f"  recall of the ten nearest: mean {np.mean(shares):.3f}, lowest {min(shares):.1f}")


def main() -> None:
    """Parse the arguments and run on a server of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedStack(Path(folder)) as stack:
        asyncio.run(run(stack.urls.postgres_dsn, arguments.tracks, arguments.queries))


if __name__ == "__main__":
    main()
