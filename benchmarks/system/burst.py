"""Measures fifty simultaneous small uploads against a process pool that analyses the same files."""

import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx

from benchmarks.figures import markdown_table, percentile_95
from benchmarks.system.stack import running_system
from k1_analysis.engine import analyse_file, warm_up
from tests.support import songs
from tests.support.waiting import wait_until

COUNT = 50
SECONDS = 8.0
_PATIENCE_S = 600.0


def _analyse(path: Path) -> None:
    analyse_file(path, filename=path.name)


def measure(folder: Path) -> str:
    """Send all uploads at once and measure until the last track is ready."""
    paths = [songs.write(folder / f"{n}.wav", songs.song(5000 + n, seconds=SECONDS)) for n in range(COUNT)]
    baseline_s = _pool(paths)
    accepted_ms, system_s = _system(folder / "home", paths)
    rows = [
        [f"process pool of {len(os.sched_getaffinity(0))}, warm (baseline)", f"{baseline_s:.1f}", "1.00", ""],
        [
            "50 uploads at once, until all are ready",
            f"{system_s:.1f}",
            f"{system_s / baseline_s:.2f}",
            f"{percentile_95(accepted_ms):.0f} ms",
        ],
    ]
    return markdown_table(
        [f"{COUNT} songs of {SECONDS:.0f} s", "seconds", "ratio", "p95 until accepted"], rows
    )


def _pool(paths: list[Path]) -> float:
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, get_context("forkserver"), initializer=warm_up) as pool:
        list(pool.map(_analyse, paths[:cores]))
        started = time.perf_counter()
        list(pool.map(_analyse, paths))
        return time.perf_counter() - started


def _system(home: Path, paths: list[Path]) -> tuple[list[float], float]:
    with running_system(home) as stack, httpx.Client(base_url=stack.url, timeout=120) as http:

        def send(path: Path) -> tuple[str, float]:
            sent = time.perf_counter()
            response = http.post("/api/v1/tracks/upload", files={"file": (path.name, path.read_bytes())})
            return response.raise_for_status().json()["track_id"], (time.perf_counter() - sent) * 1000

        warm = songs.write(home.parent / "warm.wav", songs.song(4999))
        _wait_until_ready(http, 1, [send(warm)])
        started = time.perf_counter()
        with ThreadPoolExecutor(COUNT) as pool:
            sent = list(pool.map(send, paths))
        _wait_until_ready(http, COUNT + 1, sent)
        return [ms for _, ms in sent], time.perf_counter() - started


def _wait_until_ready(http: httpx.Client, count: int, sent: list[tuple[str, float]]) -> None:
    assert len({track for track, _ in sent}) == len(sent)

    def ready() -> int:
        return sum(
            http.get("/api/v1/tracks", params={"status": status, "limit": 1}).json().get("total", 0)
            for status in ("ready", "warning")
        )

    wait_until(lambda: ready() >= count, f"{count} songs are ready", within_s=_PATIENCE_S)
