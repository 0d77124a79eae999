"""Wall time and peak memory of one analysis in a process of its own, forks and children included.

Run as a module it is that process: it warms up on a short excerpt, says so, analyses, and says how long it took.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import soundfile

from training.beats.songs import SAMPLE_RATE_HZ, make_song

_POLL_S = 0.02
_STYLE, _INDEX = "rock", 900
WARM_UP_SECONDS = 20.0


@dataclass(frozen=True)
class Cost:
    """One analysis. Memory is the greatest sum of proportional set sizes seen, in MiB."""

    tracker: str
    audio_minutes: float
    seconds: float
    peak_mib: float


def measure(names: Sequence[str], minutes: Sequence[float]) -> list[Cost]:
    """Each tracker on a generated song of each length, as MP3, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        warm_up = _song(Path(folder), WARM_UP_SECONDS / 60)
        files = [(_song(Path(folder), m), m) for m in minutes]
        return [_measure(name, warm_up, path) for name in names for path, _ in files]


def _song(folder: Path, minutes: float) -> Path:
    path = folder / f"{minutes:.2f}.mp3"
    song = make_song(_STYLE, _INDEX, "evaluation", 60 * minutes)
    soundfile.write(path, song.audio[: int(60 * minutes * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ, format="MP3")
    return path


def _measure(name: str, warm_up: Path, path: Path) -> Cost:
    command = [sys.executable, "-m", "benchmarks.beats.cost", name, warm_up, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if child.stdout.readline().strip() != "warm":
            raise RuntimeError(f"{name} failed on {warm_up}")
        peak = 0
        while child.poll() is None:
            peak = max(peak, _tree_bytes(child.pid))
            time.sleep(_POLL_S)
        seconds = float(child.stdout.read())
    return Cost(name, soundfile.info(path).duration / 60, seconds, peak / 2**20)


def _tree_bytes(pid: int) -> int:
    """Memory of a process and its descendants, shared pages counted once."""
    total = 0
    with suppress(psutil.Error):
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def _child(name: str, warm_up: Path, path: Path) -> None:
    from .peers import trackers  # noqa: PLC0415  only the measured process pays for these imports

    tracker = trackers([name], [])[name]
    tracker(warm_up)
    print("warm", flush=True)
    begun = time.perf_counter()
    tracker(path)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
