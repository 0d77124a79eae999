"""Measures the time from a request that sets the beats of a four-minute song to its answer, when the version is ready.

The baseline is the same work of a worker process (the map with other beats, and the show), called directly: without
broker, object store, databases and signature. Its CPU time says what it costs on a machine that does nothing else. Each
round shifts the beats by another amount, so no stored result is reused.
"""

import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.figures import markdown_table, median_and_range
from benchmarks.system.stack import running_system
from k1_analysis.engine import testing as songs
from k1_analysis.overrides.tasks import OverrideTask, override
from k1_contracts.beats.grid import BeatGrid
from k1_contracts.graph import GraphDocument
from k1_contracts.upload_form import FILE_FIELD
from tests.support.waiting import wait_until

ROUNDS = 10
PRESETS = ("edm", "hiphop")
_SECONDS = 240.0
_ENDED = {"ready", "warning", "failed"}


def measure(folder: Path) -> str:
    """Measure both in turn, for the show of a usual and of the most expensive preset."""
    rows: list[list[str]] = []
    with (
        running_system(folder / "home") as stack,
        httpx.Client(base_url=f"{stack.url}/api/v1", timeout=120) as http,
    ):
        for seed, preset in enumerate(PRESETS):
            version = _analysed(http, folder / f"{preset}.wav", preset, seed)
            rounds = [
                (*_time_baseline(http, version, number), _time_request(http, version, number))
                for number in range(ROUNDS + 1)
            ]
            # The first round is the warm-up.
            wall, cpu, ready = (median_and_range(values) for values in zip(*rounds[1:], strict=True))
            rows += [
                [f"{preset}: map and show in one process, CPU time", str(ROUNDS), cpu],
                [f"{preset}: the same, elapsed (baseline)", str(ROUNDS), wall],
                [f"{preset}: request to ready", str(ROUNDS), ready],
            ]
    return markdown_table(["beats of a song of four minutes", "n", "ms: median (range)"], rows)


def _analysed(http: httpx.Client, song: Path, preset: str, seed: int) -> str:
    """Upload a song, wait for its analysis and return the path of its first version."""
    songs.write(song, songs.song(songs.steady(124.0 + seed, _SECONDS, offset_s=0.35)))
    with song.open("rb") as file:
        sent = http.post("/tracks/upload", files={FILE_FIELD: (song.name, file)}, data={"preset": preset})
    track = f"/tracks/{sent.raise_for_status().json()['track_id']}"
    wait_until(
        lambda: (found := http.get(track)).is_success and found.json()["track"]["status"] in _ENDED,
        f"{track} is analysed",
    )
    return f"{track}/versions/1"


def _beats(http: httpx.Client, version: str, number: int) -> list[float]:
    held = http.get(f"{version}/beat-override").raise_for_status().json()
    return [round(beat + number + 1, 1) for beat in held["beats_ms"][:-1]]


def _time_request(http: httpx.Client, version: str, number: int) -> float:
    body = {"beats_ms": _beats(http, version, number)}
    started = time.perf_counter()
    http.post(f"{version}/beat-override", json=body).raise_for_status()
    return (time.perf_counter() - started) * 1000


def _stored_map(http: httpx.Client, version: str) -> bytes:
    """Return the map as a worker reads it: canonical, which `/genesis` is not."""
    listed = http.get(f"{version}/artefacts").raise_for_status().json()["artefacts"]
    url = next(each["url"] for each in listed if each["type"] == "genesis_map")
    return http.get(url, headers={"Authorization": ""}).raise_for_status().content


def _time_baseline(http: httpx.Client, version: str, number: int) -> tuple[float, float]:
    """Return elapsed and CPU time in ms."""
    beats = _beats(http, version, number)
    graph = GraphDocument.model_validate(http.get(f"{version}/graph").raise_for_status().json())
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base.json"
        base.write_bytes(_stored_map(http, version))
        task = OverrideTask(base, BeatGrid.of(beats, range(0, len(beats), 4)), graph, Path(folder))
        started, cpu_started = time.perf_counter(), time.process_time()
        override(task)
        return (time.perf_counter() - started) * 1000, (time.process_time() - cpu_started) * 1000
