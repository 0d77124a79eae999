"""The events of the API's streams, as a client has them after parsing: name, id, and the JSON of `data`.

The streams are written from what the owners publish; these models are their description in the OpenAPI document.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel, StringConstraints

from k1_contracts.base import UtcTime
from k1_contracts.messages.analysis import JobProgress, JobView
from k1_contracts.messages.deployment_queries import DeploymentView
from k1_contracts.messages.deployments import DeploymentChange
from k1_contracts.messages.device_link import DeviceId
from k1_contracts.messages.telemetry import LiveEvent

EventId = Annotated[str, StringConstraints(pattern="^([0-9]+|end)$")]
"""`end`: nothing comes after this event."""
Sequence = Annotated[str, StringConstraints(pattern="^[0-9]+$")]
"""The place in a stream that does not end."""


class JobStateEvent(BaseModel):
    """The job, when the stream begins and when it ends."""

    event: Literal["job"]
    id: EventId
    data: JobView


class JobProgressEvent(BaseModel):
    """How far the job is."""

    event: Literal["progress"]
    id: EventId
    data: JobProgress


class JobStreamEvent(RootModel[JobStateEvent | JobProgressEvent]):
    """One event of a job's stream."""


class DeploymentStateEvent(BaseModel):
    """The deployment, when the stream begins and when it ends."""

    event: Literal["deployment"]
    id: EventId
    data: DeploymentView


class DeploymentChangeEvent(BaseModel):
    """A step of one device, or another status of the deployment."""

    event: Literal["change"]
    id: EventId
    data: DeploymentChange


class DeploymentStreamEvent(RootModel[DeploymentStateEvent | DeploymentChangeEvent]):
    """One event of a deployment's stream."""


class TelemetryReading(BaseModel):
    """A reading of one device."""

    timestamp: UtcTime
    device_id: DeviceId
    drift_ms: float
    cpu_pct: float
    temp_c: float
    fps: float
    error: str | None


class TelemetryReadingEvent(BaseModel):
    """A reading, with its place in the stream; it comes without a name, so that `onmessage` sees it."""

    event: Literal["message"] = "message"
    id: Sequence
    data: TelemetryReading


class TelemetryNoticeEvent(BaseModel):
    """Something that happened, under its name: `alarm`, `online`, `offline`, `auto_rollback`, `missed`, `dropped`."""

    event: str = Field(pattern=r"^[0-9A-Za-z_]+$")
    id: Sequence | None = None
    """Absent where the place in the stream does not change: `missed` and `dropped`."""
    data: LiveEvent


class TelemetryStreamEvent(RootModel[TelemetryReadingEvent | TelemetryNoticeEvent]):
    """One event of a track's telemetry stream."""
