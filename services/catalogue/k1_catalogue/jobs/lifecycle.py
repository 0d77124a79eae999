"""The life cycle of a job: the statuses and transitions that the events of an analysis cause. Pure.

```
queued -> processing -> completed
   |          |-------> failed -------> completed, cancelled
   '----------'-------> cancelled ----> completed
```

Events arrive late, more than once and out of order, so final statuses have ranks: completed over cancelled over failed.
A final status gives way only to a higher one: a map that exists is always shown, and a cancelled job does not count as
failed. So the same events in any order, each delivered any number of times, lead to the same status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from k1_contracts.messages.analysis import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisStarted,
)
from k1_contracts.tracks import JobStatus, Notice

JobEvent = AnalysisStarted | AnalysisCompleted | AnalysisFailed | AnalysisCancelled

_NEXT: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    "queued": frozenset({"processing", "completed", "failed", "cancelled"}),
    # If a worker dies, another one takes its job: processing begins again.
    "processing": frozenset({"processing", "completed", "failed", "cancelled"}),
    "failed": frozenset({"completed", "cancelled"}),
    "cancelled": frozenset({"completed"}),
    "completed": frozenset(),
}
ENDED: Final[frozenset[JobStatus]] = frozenset({"completed", "failed", "cancelled"})


class IllegalTransitionError(Exception):
    """The status of a job does not allow this transition."""


@dataclass(frozen=True, slots=True)
class Job:
    """One analysis of one version; `attempt`, `worker_id`, `engine` and `started_at` describe the last attempt."""

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
    cpu_s: float | None = None
    inference_s: float | None = None
    bytes_stored: int | None = None

    def can_become(self, status: JobStatus) -> bool:
        """Return whether the job may change to `status`."""
        return status in _NEXT[self.status]

    def start(self, event: AnalysisStarted) -> Self:
        """Return the job after a worker has started it."""
        self._require("processing")
        return replace(self.record_attempt(event), status="processing")

    def complete(self, event: AnalysisCompleted) -> Self:
        """Return the completed job; an earlier failure is removed."""
        self._require("completed")
        return replace(
            self,
            status="completed",
            ended_at=event.completed_at,
            error=None,
            elapsed_ms=event.elapsed_ms,
            reused=event.reused,
            cpu_s=event.cpu_s,
            inference_s=event.inference_s,
            bytes_stored=event.bytes_stored,
        )

    def fail(self, event: AnalysisFailed) -> Self:
        """Return the job after it has ended without a map."""
        self._require("failed")
        error = Notice(code=event.code, message=event.message)
        return replace(self, status="failed", ended_at=event.failed_at, error=error)

    def cancel(self, event: AnalysisCancelled) -> Self:
        """Return the job after a person has cancelled it."""
        self._require("cancelled")
        return replace(self, status="cancelled", ended_at=event.cancelled_at, error=None)

    def record_attempt(self, event: AnalysisStarted) -> Self:
        """Return the job with this attempt as the last one, unless a later attempt is known; the status stays."""
        if self.started_at and (event.attempt, event.started_at) <= (self.attempt, self.started_at):
            return self
        return replace(
            self,
            attempt=event.attempt,
            worker_id=event.worker_id,
            engine=event.engine,
            started_at=event.started_at,
        )

    def _require(self, status: JobStatus) -> None:
        if not self.can_become(status):
            raise IllegalTransitionError(f"job {self.id} is {self.status} and cannot become {status}")


def apply_event(job: Job, event: JobEvent) -> Job:
    """Return the job after `event`; an event that comes too late does not change the status."""
    match event:
        case AnalysisStarted():
            return job.start(event) if job.can_become("processing") else job.record_attempt(event)
        case AnalysisCompleted():
            return job.complete(event) if job.can_become("completed") else job
        case AnalysisFailed():
            return job.fail(event) if job.can_become("failed") else job
        case AnalysisCancelled():
            return job.cancel(event) if job.can_become("cancelled") else job
