"""Models of the events of the API's streams, as a client parses them: name, id, and the JSON of `data`.

They only describe the events in the OpenAPI document; the gateway sends the JSON that the owners publish.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel, StringConstraints

from k1_contracts.base import UtcTime
from k1_contracts.messages.analysis import JobProgress, JobView
from k1_contracts.messages.deploy.deployment_queries import DeploymentView
from k1_contracts.messages.deploy.deployments import DeploymentChange
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.messages.fleet import FleetView
from k1_contracts.messages.telemetry import LiveEvent

EventId = Annotated[str, StringConstraints(pattern="^([0-9]+|end)$")]
"""`end` is the id of the last event."""
Sequence = Annotated[str, StringConstraints(pattern="^[0-9]+$")]
"""The sequence of a message in a stream that does not end."""


class SessionEndedDetails(BaseModel):
    """Why the stream ended: the token expired, or access was revoked or changed."""

    reason: Literal["expired", "revoked"]


class SessionEnded(BaseModel):
    """The token of the reader is not valid any more; refresh it or sign in, and connect again."""

    event: Literal["session_ended"]
    timestamp: UtcTime
    details: SessionEndedDetails


class SessionEndedEvent(BaseModel):
    """The last event of a stream that ended with the session of its reader; it has no id."""

    event: Literal["session_ended"]
    data: SessionEnded


class JobStateEvent(BaseModel):
    """The job, when the stream begins and when it ends."""

    event: Literal["job"]
    id: EventId
    data: JobView


class JobProgressEvent(BaseModel):
    """The progress of the job."""

    event: Literal["progress"]
    id: EventId
    data: JobProgress


class JobStreamEvent(RootModel[JobStateEvent | JobProgressEvent | SessionEndedEvent]):
    """One event of a job's stream."""


class DeploymentStateEvent(BaseModel):
    """The deployment, when the stream begins and when it ends."""

    event: Literal["deployment"]
    id: EventId
    data: DeploymentView


class DeploymentChangeEvent(BaseModel):
    """A step of one device, or a new status of the deployment."""

    event: Literal["change"]
    id: EventId
    data: DeploymentChange


class DeploymentStreamEvent(RootModel[DeploymentStateEvent | DeploymentChangeEvent | SessionEndedEvent]):
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
    """A reading, with its sequence in the stream; it has no name, so that `onmessage` receives it."""

    event: Literal["message"] = "message"
    id: Sequence
    data: TelemetryReading


class TelemetryNoticeEvent(BaseModel):
    """`alarm`, `online`, `offline`, `auto_rollback`, `missed`, `dropped` or `session_ended`, under its own name."""

    event: str = Field(pattern=r"^[0-9A-Za-z_]+$")
    id: Sequence | None = None
    """Absent for `missed`, `dropped` and `session_ended`, which have no sequence in the stream."""
    data: LiveEvent


class TelemetryStreamEvent(RootModel[TelemetryReadingEvent | TelemetryNoticeEvent]):
    """One event of a track's telemetry stream."""


class FleetFiguresEvent(BaseModel):
    """The figures of the fleet; it has no name, so that `onmessage` receives it."""

    event: Literal["message"] = "message"
    data: FleetView


class FleetStreamEvent(RootModel[FleetFiguresEvent | SessionEndedEvent]):
    """One event of the fleet's stream."""
