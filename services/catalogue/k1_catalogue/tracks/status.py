"""The status of a version and of a track, computed from jobs and versions. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from k1_contracts.tracks import (
    F_MEASURE_WARNING,
    INTEGRITY_WARNING,
    AnalysisSummary,
    JobStatus,
    TrackStatus,
)


@dataclass(frozen=True, slots=True)
class TrackState:
    """The status of a track and the version that is in use."""

    status: TrackStatus
    current_version: int | None


def version_status(job: JobStatus, summary: AnalysisSummary | None) -> TrackStatus:
    """Return a version's status; the summary is known once the job has completed."""
    match job:
        case "queued" | "processing":
            return "processing"
        case "completed":
            return "warning" if summary is not None and _is_doubtful(summary) else "ready"
        case "failed" | "cancelled":
            return "failed"


def _is_doubtful(summary: AnalysisSummary) -> bool:
    """Return whether a person should check the beats before using them."""
    damaged = summary.integrity is not None and summary.integrity < INTEGRITY_WARNING
    # With an override the F-measure is that of the beats that a person has replaced.
    is_automatic = summary.f_measure_reference != "override"
    return damaged or (is_automatic and summary.f_measure < F_MEASURE_WARNING)


def track_state(versions: Mapping[int, TrackStatus]) -> TrackState:
    """Return the newest version with a map as the one in use, and its status as the track's.

    So a reanalysis that runs, fails or is cancelled changes nothing. A track without any map is processing while one
    of its versions is, and failed afterwards.
    """
    usable = [number for number, status in versions.items() if status in {"ready", "warning"}]
    if usable:
        return TrackState(versions[max(usable)], max(usable))
    return TrackState("processing" if "processing" in versions.values() else "failed", None)
