"""The status of a version and of a track, computed from jobs and versions. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from k1_contracts.tracks import (
    F_MEASURE_WARNING,
    INTEGRITY_WARNING,
    AnalysisSummary,
    JobStatus,
    TrackStatus,
    VersionStatus,
)


@dataclass(frozen=True, slots=True)
class TrackState:
    """The status of a track and the version that is in use."""

    status: TrackStatus
    current_version: int | None


def version_status(job: JobStatus, summary: AnalysisSummary | None) -> VersionStatus:
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


@dataclass(frozen=True, slots=True)
class VersionChoice:
    """The version that a person chose to be in use; `before` is the newest version at that time."""

    version: int
    before: int


def track_state(versions: Mapping[int, VersionStatus], choice: VersionChoice | None = None) -> TrackState:
    """Return the newest version with a map as the one in use, and its status as the track's.

    A chosen version stays in use until a version that is newer than the choice has a map. So a reanalysis that runs,
    fails or is cancelled changes nothing. A track without any map is processing while one of its versions is, and
    failed afterwards.
    """
    usable = [number for number, status in versions.items() if is_usable(status)]
    if not usable:
        return TrackState("processing" if "processing" in versions.values() else "failed", None)
    newest = max(usable)
    in_use = choice.version if choice is not None and newest <= choice.before else newest
    return TrackState(versions[in_use], in_use)


def is_usable(status: VersionStatus | None) -> bool:
    """Return whether a version of this status has a map."""
    return status in {"ready", "warning"}
