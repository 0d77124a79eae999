"""The progress that a worker process reports while it runs a task."""

from dataclasses import dataclass

from k1_contracts.messages.analysis import BeatPreview


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """The stage of a task, and how much of the task is done in percent."""

    stage: str
    percent: float
    preview: BeatPreview | None = None
