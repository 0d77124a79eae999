"""Measures the latency of list and detail at 200 requests per second over 1,000 and 100,000 tracks.

The baseline is an aiohttp server that answers the same two requests with one SQL query each from the same database,
without broker, contracts or ETags. Requests follow a fixed schedule whether or not earlier ones have a response, so a
slow response also counts for the requests that wait behind it (no coordinated omission).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import aiohttp
import asyncpg
from aiohttp import web

from benchmarks.figures import markdown_table, percentile_95
from benchmarks.system.stack import running_system

RATE = 200
SECONDS = 8
SIZES = (1_000, 100_000)
_BATCH = 1_000


def measure(folder: Path) -> str:
    """Run the same schedule against the baseline and the gateway, at each size."""
    with running_system(folder / "home") as stack:
        rows = asyncio.run(_measure(stack.url, stack.environment["K1_POSTGRES_DSN"]))
    header = [
        f"{RATE} requests/s for {SECONDS} s",
        "baseline p50/p95 ms",
        "gateway p50/p95 ms",
        "ratio of p95",
    ]
    return markdown_table(header, rows)


async def _measure(gateway: str, dsn: str) -> list[list[str]]:
    rows: list[list[str]] = []
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=10)
    async with _baseline_server(pool) as baseline:
        for size in SIZES:
            ids = await _seed(pool, size)
            for name, path in (("list of 50", "/tracks?limit=50"), ("detail", "/tracks/{id}")):
                baseline_ms = await _send_requests(f"{baseline}{path}", ids)
                gateway_ms = await _send_requests(f"{gateway}/api/v1{path}", ids)
                figures = [
                    f"{median(values):.1f} / {percentile_95(values):.1f}"
                    for values in (baseline_ms, gateway_ms)
                ]
                rows.append(
                    [
                        f"{name}, {size:,} tracks",
                        *figures,
                        f"{percentile_95(gateway_ms) / percentile_95(baseline_ms):.2f}",
                    ]
                )
    await pool.close()
    return rows


async def _seed(pool: asyncpg.Pool, size: int) -> list[str]:
    have = await pool.fetchval("SELECT count(*) FROM catalogue.tracks")
    # In batches: triggers update the counters in one row, which one large transaction would rewrite for every track.
    for first in range(have + 1, size + 1, _BATCH):
        await pool.execute(_SEED, first, min(first + _BATCH - 1, size), timeout=60)
    await pool.execute("ANALYZE catalogue.tracks")
    return [row["id"] for row in await pool.fetch("SELECT id FROM catalogue.tracks LIMIT 5000")]


_SEED = """
WITH made AS (
    SELECT n, 'trk_' || lpad(upper(translate(to_hex(n), 'abcdef', 'ABCDEF')), 26, '0') AS id,
           'job_' || lpad(upper(to_hex(n)), 26, '0') AS job
    FROM generate_series($1::int, $2::int) AS n
), track AS (
    INSERT INTO catalogue.tracks (id, title, artist, tags, preset, filename, audio, status, current_version,
        duration_ms, bpm, f_measure, search, created_at, updated_at)
    SELECT id, 'Song number ' || n, 'Artist ' || n % 997, ARRAY['tag' || n % 13], NULL, 'song.wav',
        jsonb_build_object('key', 'audio/' || id, 'sha256', lpad(to_hex(n), 64, '0'), 'size_bytes', 1000,
            'container', 'wav', 'codec', 'pcm_s16le', 'sample_rate_hz', 44100, 'channels', 2),
        'ready', 1, 200000 + n, 90 + n % 80, 0.9, to_tsvector('simple', 'song ' || n),
        now() - n * interval '1 second', now()
    FROM made
), version AS (
    INSERT INTO catalogue.versions (track_id, version, job_id, status, engine, created_at)
    SELECT id, 1, job, 'ready', 'bench', now() FROM made
)
INSERT INTO catalogue.jobs (id, track_id, version, status, priority, created_at)
SELECT job, id, 1, 'completed', 5, now() FROM made
"""


@asynccontextmanager
async def _baseline_server(pool: asyncpg.Pool) -> AsyncIterator[str]:
    async def listed(_: web.Request) -> web.Response:
        rows = await pool.fetch(
            "SELECT id, title, artist, tags, status, bpm, duration_ms, f_measure, current_version,"
            " created_at::text AS created, updated_at::text AS updated FROM catalogue.tracks"
            " ORDER BY created_at DESC, id DESC LIMIT 50"
        )
        return web.Response(text=json.dumps({"items": [dict(row) for row in rows]}))

    async def detail(request: web.Request) -> web.Response:
        row = await pool.fetchrow(
            "SELECT t.id, title, artist, tags, t.status, v.version FROM catalogue.tracks t"
            " JOIN catalogue.versions v ON v.track_id = t.id WHERE t.id = $1",
            request.match_info["id"],
        )
        return web.Response(text=json.dumps(dict(row or {})))

    application = web.Application()
    application.add_routes([web.get("/tracks", listed), web.get("/tracks/{id}", detail)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _send_requests(url: str, ids: list[str]) -> list[float]:
    """Return the milliseconds from the scheduled time of each request to the end of its response."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as http:

        async def send(number: int, due: float) -> float:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            async with http.get(url.replace("{id}", ids[number * 7919 % len(ids)])) as response:
                assert response.status == 200, await response.text()
                await response.read()
            return (time.perf_counter() - due) * 1000

        await asyncio.gather(*(send(n, time.perf_counter() + n / RATE) for n in range(RATE)))
        started = time.perf_counter() + 0.1
        return list(await asyncio.gather(*(send(n, started + n / RATE) for n in range(RATE * SECONDS))))
