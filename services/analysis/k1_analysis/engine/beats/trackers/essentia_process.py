"""Runs Essentia's measures of a file in forked processes, and turns their failures into warnings.

The slowest tracker takes longer than everything else together, so it has its own process from the start; the
others share one that starts when the main process only waits.
"""

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from k1_analysis.engine.audio.decoding import AudioSource
from k1_analysis.engine.beats.trackers.essentia import Measure, TrackerResults, track
from k1_analysis.engine.beats.trackers.forked_process import ForkedProcess, ForkedProcessError
from k1_analysis.engine.errors import MapWarning
from k1_analysis.engine.limits import Limits

SLOW_MEASURES: Final[tuple[Measure, ...]] = ("multifeature",)
FAST_MEASURES: Final[tuple[Measure, ...]] = ("degara", "harmony", "danceability")


class EssentiaProcess:
    """Measures one file in a forked process. A context manager."""

    def __init__(
        self, path: Path, limits: Limits, measures: tuple[Measure, ...], channel: int | None = None
    ) -> None:
        self._measures = measures
        self._timeout_s = limits.tracker_timeout_s
        self._process = ForkedProcess(lambda: _track_file(path, limits, measures, channel))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill the process. A second call has no effect."""
        self._process.stop()

    @property
    def pid(self) -> int | None:
        """Return the id of the process; None after it was waited for."""
        return self._process.pid

    def result(self) -> tuple[TrackerResults, list[MapWarning]]:
        """Return the results, empty if the process failed, and the warnings that follow from failures."""
        names = ", ".join(self._measures)
        try:
            found = self._process.result(self._timeout_s)
        except ForkedProcessError as error:
            message = f"Essentia's {names} gave nothing ({error}); the beats rest on the others."
            return TrackerResults(), [MapWarning("trackers_failed", message)]
        if not found.failed:
            return found, []
        message = f"Essentia's {', '.join(found.failed)} gave nothing for a part of the song."
        return found, [MapWarning("trackers_failed", message)]


def merge_results(slow: EssentiaProcess, fast: EssentiaProcess) -> tuple[TrackerResults, list[MapWarning]]:
    """Return the results of both processes, and their warnings."""
    first, warnings = fast.result()
    second, more = slow.result()
    both = replace(first, multifeature=second.multifeature, failed=first.failed + second.failed)
    return both, warnings + more


def _track_file(
    path: Path, limits: Limits, measures: tuple[Measure, ...], channel: int | None
) -> TrackerResults:
    with AudioSource(path, limits, channel) as source:
        return track((block for block, _ in source.blocks()), measures)
