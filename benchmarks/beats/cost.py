"""Measures wall time and peak memory of one analysis in a separate process, including its child processes.

Run as a module, this is the measured process: it warms up on a short excerpt and prints `warm`, analyses once while the
parent samples its memory and prints an empty line, then analyses again without sampling and prints the shortest time.
"""

import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import soundfile

from benchmarks.figures import time_call
from training.beats.songs import SAMPLE_RATE_HZ, make_song

_POLL_S = 0.02
_STYLE, _INDEX = "rock", 900
WARM_UP_SECONDS = 20.0
_TIMED_MINUTES = 12
"""Minutes of audio for timing each tracker, in as many runs as fit; the shortest time is reported."""


@dataclass(frozen=True)
class Cost:
    """The cost of one analysis. Memory is the largest sum of proportional set sizes, in MiB."""

    tracker: str
    audio_minutes: float
    file_format: str
    seconds: float
    """The shortest time of several runs, without the memory sampler, which uses part of a core."""
    peak_mib: float


def measure(names: Sequence[str], files: Sequence[tuple[float, str]]) -> list[Cost]:
    """Measure each tracker on a generated song of each length (minutes) and file format, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        warm_up = _song(Path(folder), WARM_UP_SECONDS / 60, "mp3")
        paths = [_song(Path(folder), *file) for file in files]
        return [_measure(name, warm_up, path) for name in names for path in paths]


def _song(folder: Path, minutes: float, file_format: str) -> Path:
    path = folder / f"{minutes:.2f}.{file_format}"
    song = make_song(_STYLE, _INDEX, "evaluation", 60 * minutes)
    audio = song.audio[: int(60 * minutes * SAMPLE_RATE_HZ)]
    soundfile.write(path, audio, SAMPLE_RATE_HZ, format=file_format.upper())
    return path


def _measure(name: str, warm_up: Path, path: Path) -> Cost:
    command = [sys.executable, "-m", "benchmarks.beats.cost", name, warm_up, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if child.stdout.readline().strip() != "warm":
            raise RuntimeError(f"{name} failed on {warm_up}")
        peak = 0
        while not select.select([child.stdout], [], [], _POLL_S)[0]:
            peak = max(peak, _tree_bytes(child.pid))
        seconds = float(child.stdout.read())
    return Cost(name, soundfile.info(path).duration / 60, path.suffix[1:], seconds, peak / 2**20)


def _tree_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants; shared pages count once."""
    total = 0
    with suppress(psutil.Error):
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total


def _child(name: str, warm_up: Path, path: Path) -> None:
    from .trackers import load_trackers  # noqa: PLC0415  only the measured process pays for these imports

    tracker = load_trackers([name], [])[name]
    tracker(warm_up)
    print("warm", flush=True)
    tracker(path)
    # The empty line ends the memory sampling of the parent.
    print(flush=True)
    runs = max(1, int(_TIMED_MINUTES / (soundfile.info(path).duration / 60)))
    print(min(time_call(lambda: tracker(path)) for _ in range(runs)))


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
