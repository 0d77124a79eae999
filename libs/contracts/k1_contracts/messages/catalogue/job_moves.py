"""Defines how a waiting job gets another priority: the query, and the event that moves it in the queue."""

from typing import Final

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.ids import JobId
from k1_contracts.messages.analysis import AnalysisJob, JobView
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Priority


class SetJobPriority(Contract):
    """Move a waiting job in the queue."""

    job_id: JobId
    priority: Priority


class AnalysisMoved(AnalysisJob):
    """A waiting job has another place in the queue: the last one of `priority`. `move` counts its moves."""

    move: int = Field(ge=1)
    moved_at: UtcTime


class JobPlace(Contract):
    """The value of the bucket JOB_PLACES: which message of a job is valid. There is none until it is moved or taken."""

    move: int = Field(ge=0)
    """The message with this `move`; the others are void."""
    is_taken: bool = False
    """Whether a worker has taken it."""


ANALYSIS_MOVED: Final = Event(
    "analysis.moved",
    AnalysisMoved,
    summary="A waiting job has another priority",
    senders=("catalogue",),
    receivers=("analysis",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.moved_at,
    key=lambda event: f"{event.job_id}/{event.move}",
)
JOB_SET_PRIORITY: Final = Query(
    "rpc.catalogue.job.set_priority",
    SetJobPriority,
    JobView,
    summary="Move a waiting job in the queue",
    role="editor",
)
