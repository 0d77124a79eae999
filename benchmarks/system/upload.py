"""What the services add to an analysis: upload to `ready`, beside the same work in one warm process.

The peer is what a worker's child does with a song (engine, show, files on disk), called directly: no upload, no
broker, no store, no databases.
"""

import json
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from statistics import median

import httpx

from benchmarks.system.running import k1, spread, system, table
from k1_analysis.jobs.tasks import AnalysisTask, run_task, warm_up
from k1_analysis.shows.tasks import ShowTask
from k1_analysis.task_progress import TaskProgress

ROUNDS = 5
_ENDED = {"completed", "failed", "cancelled"}


def measure(folder: Path) -> str:
    """Alternate the two on songs that differ by their seed only, so that nothing is answered from before."""
    warm_up()
    engine_ms: list[float] = []
    ready_ms: list[float] = []
    with system(folder / "home") as stack, httpx.Client(base_url=stack.url, timeout=60) as http:
        for seed in range(ROUNDS + 1):
            song = folder / f"demo-{seed}.wav"
            k1("demo-song", str(song), "--seed", str(seed + 1))
            bare, whole = _bare(song), _whole(http, song)
            if seed:  # the first round warms both up
                engine_ms.append(bare)
                ready_ms.append(whole)
    cli = _command(folder / "demo-1.wav")
    added = [whole - bare for whole, bare in zip(ready_ms, engine_ms, strict=True)]
    ratio = median(whole / bare for whole, bare in zip(ready_ms, engine_ms, strict=True))
    rows = [
        ["engine and show in one warm process (peer)", spread(engine_ms), "1.00"],
        ["upload to ready", spread(ready_ms), f"{ratio:.2f}"],
        ["added by the services", spread(added), ""],
        ["`k1 analyze`, a new process, once", f"{cli:.0f}", ""],
    ]
    return table(["60 s demo song", "ms: median (range)", "ratio"], rows)


def _bare(song: Path) -> float:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        job = AnalysisTask(
            song, scratch, song.name, sha256(song.read_bytes()).hexdigest(), None, max_minutes=20
        )
        run_task(job, _unheard)
        run_task(ShowTask(scratch, None), _unheard)
    return (time.perf_counter() - began) * 1000


def _unheard(_: TaskProgress) -> None:
    """Nobody watches the peer."""


def _whole(http: httpx.Client, song: Path) -> float:
    data = song.read_bytes()
    began = time.perf_counter()
    answer = http.post("/api/v1/tracks/upload", files={"file": (song.name, data)}).raise_for_status()
    job = answer.json()["job_id"]
    while True:
        seen = http.get(f"/api/v1/analysis/jobs/{job}")
        if seen.status_code == httpx.codes.OK and seen.json()["status"] in _ENDED:
            assert seen.json()["status"] == "completed", seen.text
            return (time.perf_counter() - began) * 1000
        time.sleep(0.01)


def _command(song: Path) -> float:
    began = time.perf_counter()
    json.loads(k1("analyze", str(song), "--json"))
    return (time.perf_counter() - began) * 1000
