"""Essentia's trackers on a stream: each window is independent of the others, and so is each tracker."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from k1_analysis.engine import Limits
from k1_analysis.engine import testing as songs
from k1_analysis.engine.beats.trackers import essentia, essentia_process

BLOCK = 10 * songs.RATE
_track_file = essentia_process._track_file
SEAM_S = essentia.WINDOW_S - essentia.OVERLAP_S / 2


@pytest.fixture(scope="module")
def drifting() -> songs.Samples:
    """Two minutes, two windows, that change their tempo all the time."""
    return songs.song(np.cumsum(60 / (112 + 8 * np.sin(np.arange(225) / 9))))


def _blocks(samples: songs.Samples) -> list[songs.Samples]:
    return np.split(samples, np.arange(BLOCK, len(samples), BLOCK))


def test_second_window_is_tracked_like_the_first(drifting: songs.Samples) -> None:
    """After a window, a tracker finds in the next one the same beats as a new tracker."""
    start_s = essentia.WINDOW_S - essentia.OVERLAP_S
    alone = essentia.load_essentia().BeatTrackerMultiFeature()(drifting[int(start_s * songs.RATE) :])[0]
    expected = np.asarray(alone, np.float64) + start_s - essentia.BIAS_S
    found = essentia.track(_blocks(drifting))
    assert found.failed == ()
    assert found.multifeature[found.multifeature >= SEAM_S] == pytest.approx(expected[expected >= SEAM_S])


def test_essentia_takes_little_memory_and_equals_its_own_module() -> None:
    """Loading it costs less than 30 MiB; parameters reach the algorithm and results are the same."""
    program = (
        "import resource, numpy\nfrom k1_analysis.engine.beats.trackers.essentia import load_essentia\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak()\nours = load_essentia()\n"
        "samples = numpy.random.default_rng(0).normal(0, 0.1, 441_000).astype('f4')\n"
        "print(peak() - before)\n"
        "from essentia import standard\n"
        "for make in (lambda e: e.KeyExtractor(profileType='bgate'), lambda e: e.Danceability()):\n"
        "    assert str(make(ours)(samples)) == str(make(standard)(samples))\n"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert float(output.stdout) < 30


def test_one_tracker_that_raises_affects_no_other(
    monkeypatch: pytest.MonkeyPatch, drifting: songs.Samples
) -> None:
    """Essentia raises on some music: the others' results stay, and the failed measure is named."""

    class WithoutMultifeature:
        def __init__(self, essentia: Any) -> None:
            self._essentia = essentia

        def __getattr__(self, name: str) -> Any:
            if name == "BeatTrackerMultiFeature":
                raise RuntimeError("TempoTapMaxAgreement: tick values must be in ascending order")
            return getattr(self._essentia, name)

    loaded = essentia.load_essentia()
    monkeypatch.setattr(essentia, "load_essentia", lambda: WithoutMultifeature(loaded))
    found = essentia.track(_blocks(drifting[: 20 * songs.RATE]))
    assert found.failed == ("multifeature",)
    assert len(found.multifeature) == 0
    assert len(found.degara) > 20
    assert found.harmony.any()
    assert found.danceability > 0


def test_process_that_dies_loses_only_its_own_results(monkeypatch: pytest.MonkeyPatch, house: Path) -> None:
    """The other process's beats and key stay, and a warning names what is missing and why."""

    def track_file(
        path: Path, limits: Limits, measures: tuple[essentia.Measure, ...], channel: int | None
    ) -> Any:
        if measures == essentia_process.SLOW_MEASURES:
            signal.pause()  # until it is killed, however long that takes
        return _track_file(path, limits, measures, channel)

    monkeypatch.setattr(essentia_process, "_track_file", track_file)
    with (
        essentia_process.EssentiaProcess(house, Limits(), essentia_process.SLOW_MEASURES) as slow,
        essentia_process.EssentiaProcess(house, Limits(), essentia_process.FAST_MEASURES) as quick,
    ):
        assert slow.pid is not None
        os.kill(slow.pid, signal.SIGKILL)
        found, warnings = essentia_process.merge_results(slow, quick)
    assert len(found.multifeature) == 0
    assert len(found.degara) > 20
    assert found.harmony.any()
    assert [warning.code for warning in warnings] == ["trackers_failed"]
    assert "multifeature gave nothing" in warnings[0].message
    assert slow.pid is None
