"""Estimates how long a job will still take, from the latest jobs. Pure.

The time of a job is modelled as a constant plus a rate for each minute of audio. Both are fitted by Theil and Sen's
method (the median of the slopes of all pairs), which a few jobs that hung do not change. An estimate is None if no
analysis has completed yet.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import median
from typing import Final

_MS_PER_MINUTE: Final = 60_000.0
_FITTED_SAMPLES: Final = 20
"""The number of latest analyses that one fit uses."""
_MIN_PRESET_SAMPLES: Final = 3
"""A preset with fewer analyses uses the fit of all presets."""
_MIN_SPREAD_MINUTES: Final = 0.5
"""Two songs whose lengths differ by less say nothing about the slope: their difference is noise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A completed analysis."""

    preset: str | None
    audio_ms: float
    elapsed_ms: float
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class AnalysisSpeed:
    """The speed of the latest analyses."""

    seconds_per_minute: float
    """Seconds of work for one more minute of audio."""
    typical_seconds: float
    """Seconds for a whole job, used if the length of its audio is not known."""
    constant_seconds: float = 0.0
    """Seconds of work that do not depend on the length."""

    def work_seconds(self, audio_ms: float | None) -> float:
        """Return the work of one job, in seconds."""
        if audio_ms is None:
            return self.typical_seconds
        return self.constant_seconds + audio_ms / _MS_PER_MINUTE * self.seconds_per_minute


@dataclass(frozen=True, slots=True)
class LatestAnalyses:
    """What the latest analyses say about the next ones."""

    speed: AnalysisSpeed
    """Of all presets together."""
    by_preset: Mapping[str | None, AnalysisSpeed]
    at_once: int = 1
    """The highest number of jobs that ran at the same time."""

    def work_seconds(self, preset: str | None, audio_ms: float | None) -> float:
        """Return the work of one job, in seconds."""
        return self.by_preset.get(preset, self.speed).work_seconds(audio_ms)


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of a job in the queue, and the work before it."""

    position: int
    audio_ms: float | None
    ahead_ms: float
    """Audio of the queued jobs before it whose length is known."""
    ahead_unknown: int
    """Number of queued jobs before it whose length is not known."""
    preset: str | None = None

    def ahead_seconds(self, speed: AnalysisSpeed) -> float:
        """Return the work of the queued jobs before it, in seconds."""
        known = self.position - 1 - self.ahead_unknown
        rate = self.ahead_ms / _MS_PER_MINUTE * speed.seconds_per_minute
        return rate + known * speed.constant_seconds + self.ahead_unknown * speed.typical_seconds


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker is processing."""

    audio_ms: float | None
    elapsed_seconds: float
    preset: str | None = None


def measure_analyses(samples: Sequence[Sample]) -> LatestAnalyses | None:
    """Return the speeds of `samples`, the newest first; None without any."""
    if not samples:
        return None
    groups: defaultdict[str | None, list[Sample]] = defaultdict(list)
    for each in samples:
        groups[each.preset].append(each)
    return LatestAnalyses(
        speed=_fit(samples[:_FITTED_SAMPLES]),
        by_preset={
            preset: _fit(group[:_FITTED_SAMPLES])
            for preset, group in groups.items()
            if len(group) >= _MIN_PRESET_SAMPLES
        },
        at_once=most_at_once((each.started_at, each.ended_at) for each in samples[:_FITTED_SAMPLES]),
    )


def most_at_once(spans: Iterable[tuple[datetime, datetime]]) -> int:
    """Return how many of the spans overlap at most; one that starts as another ends does not overlap it."""
    changes = sorted(change for start, end in spans for change in ((start, 1), (end, -1)))
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def running_job_seconds(job: RunningJob, latest: LatestAnalyses | None) -> float | None:
    """Return the seconds until a running job ends; 0 if it takes longer than expected."""
    return None if latest is None else _seconds_left(job, latest)


def queued_job_seconds(
    place: QueuePlace, running: Sequence[RunningJob], latest: LatestAnalyses | None
) -> float | None:
    """Return the seconds until a queued job ends.

    Assumes as many workers as jobs ran at once lately, or run now. The jobs ahead share them; a job for which a worker
    is free does not wait.
    """
    if latest is None:
        return None
    own = latest.work_seconds(place.preset, place.audio_ms)
    workers = max(1, latest.at_once, len(running))
    if len(running) + place.position <= workers:
        return own
    ahead = place.ahead_seconds(latest.speed) + sum(_seconds_left(each, latest) for each in running)
    return ahead / workers + own


def _seconds_left(job: RunningJob, latest: LatestAnalyses) -> float:
    return max(0.0, latest.work_seconds(job.preset, job.audio_ms) - job.elapsed_seconds)


def _fit(samples: Sequence[Sample]) -> AnalysisSpeed:
    """Return the line through the samples; neither its slope nor its constant is negative."""
    points = [(each.audio_ms / _MS_PER_MINUTE, each.elapsed_ms / 1000) for each in samples]
    typical = median(seconds for _, seconds in points)
    slopes = [
        (seconds_b - seconds_a) / (minutes_b - minutes_a)
        for (minutes_a, seconds_a), (minutes_b, seconds_b) in combinations(points, 2)
        if abs(minutes_b - minutes_a) >= _MIN_SPREAD_MINUTES
    ]
    slope = median(slopes) if slopes else 0.0
    constant = median(seconds - slope * minutes for minutes, seconds in points)
    if slopes and slope < 0:
        return AnalysisSpeed(0.0, typical, typical)
    if not slopes or constant < 0:
        return AnalysisSpeed(median(seconds / minutes for minutes, seconds in points), typical)
    return AnalysisSpeed(slope, typical, constant)
