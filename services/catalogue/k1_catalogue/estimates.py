"""How long a job will still take, from how fast the latest ones were. Pure; an estimate, and None without data."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_MS_A_MINUTE = 60_000.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the latest analyses were."""

    seconds_a_minute: float
    """Seconds of work for a minute of audio."""
    typical_seconds: float
    """Seconds of a whole job, for audio whose length is not known."""

    def work_seconds(self, audio_ms: float | None) -> float:
        """The work of one job, in seconds."""
        return self.typical_seconds if audio_ms is None else audio_ms / _MS_A_MINUTE * self.seconds_a_minute


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job's place in the queue and the work before it."""

    position: int
    audio_ms: float | None
    ahead_ms: float
    """Audio of the waiting jobs before it whose length is known."""
    ahead_unknown: int
    """Waiting jobs before it whose length is not known."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a worker has."""

    audio_ms: float | None
    since_seconds: float


def measure_speed(samples: Sequence[tuple[float, float]]) -> Speed | None:
    """The median speed of `samples`: elapsed and audio length of completed jobs, in milliseconds."""
    if not samples:
        return None
    return Speed(
        seconds_a_minute=median(elapsed / 1000 / (audio / _MS_A_MINUTE) for elapsed, audio in samples),
        typical_seconds=median(elapsed for elapsed, _ in samples) / 1000,
    )


def running_seconds(job: Running, speed: Speed | None) -> float | None:
    """Seconds until a running job ends; nought when it takes longer than thought."""
    if speed is None:
        return None
    return max(0.0, speed.work_seconds(job.audio_ms) - job.since_seconds)


def waiting_seconds(job: Waiting, running: Sequence[Running], speed: Speed | None) -> float | None:
    """Seconds until a waiting job ends.

    Assumes that as many jobs run at a time as run now, at least one: the number of free workers is
    not known here.
    """
    if speed is None:
        return None
    waiting = speed.work_seconds(job.ahead_ms) + job.ahead_unknown * speed.typical_seconds
    begun = sum(max(0.0, speed.work_seconds(each.audio_ms) - each.since_seconds) for each in running)
    return (waiting + begun) / max(1, len(running)) + speed.work_seconds(job.audio_ms)
