"""Moves waiting jobs in the queue, and lets a worker claim a job: each job runs from one of its messages only.

A message cannot be taken out of a lane. So a moved job gets another message, with a higher `move`, on the lane of its
new priority. The bucket of places says for each job which move is valid and whether a worker has claimed it. All writes
compare and set: either the claim or the move comes first.
"""

from dataclasses import dataclass
from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import KeyWrongLastSequenceError, NotFoundError

from k1_contracts import streams
from k1_contracts.messages.analysis import AnalysisJob
from k1_contracts.messages.catalogue.job_moves import JobPlace

_ABSENT: Final = 0
"""The revision of a key that is not in the bucket."""


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """The places of all jobs. Every method raises `nats.errors.Error` if the broker does not answer."""

    jetstream: JetStreamContext

    async def claim(self, job: AnalysisJob) -> bool:
        """Return whether this message of the job may run; if so, the job is not moved any more."""
        while True:
            place, revision = await self._find(job.job_id)
            if place is not None and place.move != job.move:
                return False
            if place is not None and place.is_taken:
                return True  # delivered again, after a worker has returned it or has died
            if await self._set(job.job_id, JobPlace(move=job.move, is_taken=True), revision):
                return True

    async def move(self, job: AnalysisJob) -> bool:
        """Make the job's earlier messages void; return whether its new message may be put on its lane.

        A repeated call returns True again, so that a process that died in between goes on. The job is not lost
        meanwhile: the event of the move is delivered again.
        """
        while True:
            place, revision = await self._find(job.job_id)
            if place is not None and (place.is_taken or place.move > job.move):
                return False
            if place is not None and place.move == job.move:
                return True
            if await self._set(job.job_id, JobPlace(move=job.move), revision):
                return True

    async def _find(self, job_id: str) -> tuple[JobPlace | None, int]:
        bucket = await self.jetstream.key_value(streams.JOB_PLACES.name)
        try:
            entry = await bucket.get(job_id)
        except NotFoundError:
            return None, _ABSENT
        return JobPlace.model_validate_json(entry.value or b""), entry.revision or _ABSENT

    async def _set(self, job_id: str, place: JobPlace, revision: int) -> bool:
        """Write the place if nobody has written another one since; return whether it was written."""
        bucket = await self.jetstream.key_value(streams.JOB_PLACES.name)
        try:
            await bucket.update(job_id, place.to_json(), last=revision)
        except KeyWrongLastSequenceError:
            return False
        return True
