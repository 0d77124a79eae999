"""The life of a job, and what it means for its version and its track. Pure.

```
queued -> processing -> completed
   |          |-------> failed -------> completed, cancelled
   '----------'-------> cancelled ----> completed
```

Facts arrive late, twice and out of order, so endings have ranks: completed over cancelled over
failed. An ending gives way only to a higher one: a map that exists is shown whatever else was
told of its job, and a cancelled job is no failure. Thereby the same facts in any order, each told
any number of times, end in the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from k1_catalogue.errors import IllegalTransitionError
from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
)
from k1_contracts.tracks import (
    F_MEASURE_WARNING,
    INTEGRITY_WARNING,
    AnalysisSummary,
    JobStatus,
    Notice,
    TrackStatus,
)

JobFact = AnalysisStarted | AnalysisCompleted | AnalysisFailed | AnalysisCancelled

_NEXT: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    "queued": frozenset({"processing", "completed", "failed", "cancelled"}),
    # A worker that died leaves its job to another one: processing begins again.
    "processing": frozenset({"processing", "completed", "failed", "cancelled"}),
    "failed": frozenset({"completed", "cancelled"}),
    "cancelled": frozenset({"completed"}),
    "completed": frozenset(),
}
ENDED: Final[frozenset[JobStatus]] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis of one version; `attempt`, `worker_id`, `engine`, `started_at` are the last attempt's."""

    id: str
    track_id: str
    version: int
    status: JobStatus = "queued"
    attempt: int = 0
    worker_id: str | None = None
    engine: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: Notice | None = None
    elapsed_ms: float | None = None
    reused: bool = False

    def may_become(self, status: JobStatus) -> bool:
        """Whether the transition is legal."""
        return status in _NEXT[self.status]

    def start(self, fact: AnalysisStarted) -> Self:
        """A worker took the job."""
        self._require("processing")
        return replace(self.note_attempt(fact), status="processing")

    def complete(self, fact: AnalysisCompleted) -> Self:
        """The map exists; what a lower ending had said is forgotten."""
        self._require("completed")
        return replace(
            self,
            status="completed",
            ended_at=fact.completed_at,
            error=None,
            elapsed_ms=fact.elapsed_ms,
            reused=fact.reused,
        )

    def fail(self, fact: AnalysisFailed) -> Self:
        """The job ended without a map."""
        self._require("failed")
        error = Notice(code=fact.code, message=fact.message)
        return replace(self, status="failed", ended_at=fact.failed_at, error=error)

    def cancel(self, fact: AnalysisCancelled) -> Self:
        """A person cancelled the job."""
        self._require("cancelled")
        return replace(self, status="cancelled", ended_at=fact.cancelled_at, error=None)

    def note_attempt(self, fact: AnalysisStarted) -> Self:
        """Remember who worked on the job, unless a later attempt is known; the status stays."""
        if self.started_at and (fact.attempt, fact.started_at) <= (self.attempt, self.started_at):
            return self
        return replace(
            self,
            attempt=fact.attempt,
            worker_id=fact.worker_id,
            engine=fact.engine,
            started_at=fact.started_at,
        )

    def _require(self, status: JobStatus) -> None:
        if not self.may_become(status):
            raise IllegalTransitionError(f"job {self.id} is {self.status} and cannot become {status}")


def receive(job: Job, fact: JobFact) -> Job:
    """The job after `fact`; a fact that comes too late leaves the status as it is."""
    match fact:
        case AnalysisStarted():
            return job.start(fact) if job.may_become("processing") else job.note_attempt(fact)
        case AnalysisCompleted():
            return job.complete(fact) if job.may_become("completed") else job
        case AnalysisFailed():
            return job.fail(fact) if job.may_become("failed") else job
        case AnalysisCancelled():
            return job.cancel(fact) if job.may_become("cancelled") else job


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
    """Return whether a person should look before the beats are used."""
    damaged = summary.integrity is not None and summary.integrity < INTEGRITY_WARNING
    return damaged or summary.f_measure < F_MEASURE_WARNING


@dataclass(frozen=True, slots=True)
class TrackState:
    """What a track's list entry shows: its status and the version that is in use."""

    status: TrackStatus
    current_version: int | None


def track_state(versions: Mapping[int, TrackStatus]) -> TrackState:
    """The newest version with a map is in use and gives the status.

    So a reanalysis that runs, fails or is cancelled changes nothing. Without any map the track is
    processing as long as one version is, then failed.
    """
    usable = [number for number, status in versions.items() if status in {"ready", "warning"}]
    if usable:
        return TrackState(versions[max(usable)], max(usable))
    return TrackState("processing" if "processing" in versions.values() else "failed", None)
