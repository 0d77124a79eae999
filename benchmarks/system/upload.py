"""Measures the time from upload to `ready` against the same work in one warm process.

The baseline is the work of a worker process (engine, show, files on disk), called directly: without upload, broker,
object store and databases.
"""

import json
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.figures import markdown_table, median_and_range, time_call
from benchmarks.system.stack import k1, running_system
from k1_analysis.jobs.tasks import AnalysisTask, run_task, warm_up
from k1_analysis.shows.tasks import ShowTask
from k1_analysis.task_progress import TaskProgress
from tests.support.waiting import wait_until

ROUNDS = 5
_ENDED = {"completed", "failed", "cancelled"}


def measure(folder: Path) -> str:
    """Measure both in turn on songs with different seeds, so that no stored result is reused."""
    warm_up()
    engine_ms: list[float] = []
    ready_ms: list[float] = []
    with running_system(folder / "home") as stack, httpx.Client(base_url=stack.url, timeout=60) as http:
        for seed in range(ROUNDS + 1):
            song = folder / f"demo-{seed}.wav"
            k1("demo-song", str(song), "--seed", str(seed + 1))
            baseline, complete = _time_baseline(song), _time_upload(http, song)
            if seed:  # the first round is the warm-up
                engine_ms.append(baseline)
                ready_ms.append(complete)
    cli = _time_command(folder / "demo-1.wav")
    added = [complete - baseline for complete, baseline in zip(ready_ms, engine_ms, strict=True)]
    ratio = median(complete / baseline for complete, baseline in zip(ready_ms, engine_ms, strict=True))
    rows = [
        ["engine and show in one warm process (baseline)", median_and_range(engine_ms), "1.00"],
        ["upload to ready", median_and_range(ready_ms), f"{ratio:.2f}"],
        ["added by the services", median_and_range(added), ""],
        ["`k1 analyze`, a new process, once", f"{cli:.0f}", ""],
    ]
    return markdown_table(["60 s demo song", "ms: median (range)", "ratio"], rows)


def _time_baseline(song: Path) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        job = AnalysisTask(
            song, scratch, song.name, sha256(song.read_bytes()).hexdigest(), None, max_minutes=20
        )
        run_task(job, _ignore_progress)
        run_task(ShowTask(scratch, None), _ignore_progress)
    return (time.perf_counter() - started) * 1000


def _ignore_progress(_: TaskProgress) -> None:
    """Ignore the progress of the baseline."""


def _time_upload(http: httpx.Client, song: Path) -> float:
    data = song.read_bytes()
    started = time.perf_counter()
    response = http.post("/api/v1/tracks/upload", files={"file": (song.name, data)}).raise_for_status()
    job_id = response.json()["job_id"]

    def ended() -> dict[str, Any] | None:
        response = http.get(f"/api/v1/analysis/jobs/{job_id}")
        return response.json() if response.is_success and response.json()["status"] in _ENDED else None

    job = wait_until(ended, f"{job_id} ends", interval_s=0.01)
    assert job["status"] == "completed", job
    return (time.perf_counter() - started) * 1000


def _time_command(song: Path) -> float:
    return time_call(lambda: json.loads(k1("analyze", str(song), "--json"))) * 1000
