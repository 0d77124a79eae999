"""Estimates how long a job will still take, from the speed of the latest jobs. Pure.

An estimate is None if no analysis has completed yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_MS_PER_MINUTE = 60_000.0


@dataclass(frozen=True, slots=True)
class AnalysisSpeed:
    """The speed of the latest analyses."""

    seconds_per_minute: float
    """Seconds of work for one minute of audio."""
    typical_seconds: float
    """Seconds for a whole job, used if the length of its audio is not known."""

    def work_seconds(self, audio_ms: float | None) -> float:
        """Return the work of one job, in seconds."""
        return (
            self.typical_seconds if audio_ms is None else audio_ms / _MS_PER_MINUTE * self.seconds_per_minute
        )


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of a job in the queue, and the work before it."""

    position: int
    audio_ms: float | None
    ahead_ms: float
    """Audio of the queued jobs before it whose length is known."""
    ahead_unknown: int
    """Number of queued jobs before it whose length is not known."""


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker is processing."""

    audio_ms: float | None
    elapsed_seconds: float


def measure_speed(samples: Sequence[tuple[float, float]]) -> AnalysisSpeed | None:
    """Return the median speed of `samples`: elapsed time and audio length of completed jobs, in ms."""
    if not samples:
        return None
    return AnalysisSpeed(
        seconds_per_minute=median(elapsed / 1000 / (audio / _MS_PER_MINUTE) for elapsed, audio in samples),
        typical_seconds=median(elapsed for elapsed, _ in samples) / 1000,
    )


def running_job_seconds(job: RunningJob, speed: AnalysisSpeed | None) -> float | None:
    """Return the seconds until a running job ends; 0 if it takes longer than expected."""
    if speed is None:
        return None
    return max(0.0, speed.work_seconds(job.audio_ms) - job.elapsed_seconds)


def queued_job_seconds(
    place: QueuePlace, running: Sequence[RunningJob], speed: AnalysisSpeed | None
) -> float | None:
    """Return the seconds until a queued job ends.

    Assumes that as many jobs run at a time as run now, at least one, because the number of idle workers is not known
    here.
    """
    if speed is None:
        return None
    queued = speed.work_seconds(place.ahead_ms) + place.ahead_unknown * speed.typical_seconds
    started = sum(max(0.0, speed.work_seconds(each.audio_ms) - each.elapsed_seconds) for each in running)
    return (queued + started) / max(1, len(running)) + speed.work_seconds(place.audio_ms)
