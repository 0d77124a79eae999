"""Defines a deployment: its vocabulary, the command that starts one and the events it publishes."""

from typing import Annotated, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, StringConstraints

from k1_contracts.base import NOT_BLANK, Contract, JsonObject, UtcTime
from k1_contracts.descriptors import Command, Event, LiveMessage
from k1_contracts.ids import DeploymentId, Sha256, TrackId
from k1_contracts.messages.deploy.device_link import DeviceId
from k1_contracts.messages.deploy.devices import Group
from k1_contracts.streams import EVENTS, LIVE
from k1_contracts.tracks import Version

DeploymentStatus = Literal[
    "queued",
    "checking",
    "staging",
    "activating",
    "observing",
    "committing",
    "discarding",
    "rolling_back",
    "rollback_pending",
    "succeeded",
    "failed",
    "rolled_back",
    "cancelled",
]
ENDED: Final[frozenset[DeploymentStatus]] = frozenset({"succeeded", "failed", "rolled_back", "cancelled"})
"""`rollback_pending` has ended for everybody but the devices that could not be reached yet."""
DeviceOutcome = Literal[
    "pending",
    "blocked",
    "staging",
    "staged",
    "activating",
    "active",
    "committed",
    "failed",
    "discarded",
    "rolling_back",
    "rolled_back",
    "rollback_pending",
]
StepName = Literal["check", "stage", "activate", "verify", "observe", "commit", "discard", "rollback"]
Gate = Literal[
    "presence", "firmware", "nodes", "space", "estimate", "photosensitivity", "f_measure", "track_status"
]
OVERRIDABLE: Final[frozenset[Gate]] = frozenset(
    {"firmware", "nodes", "space", "estimate", "photosensitivity", "f_measure", "track_status"}
)
"""An absent device cannot be wished present."""
Actor = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=NOT_BLANK)
]
"""Who the caller says they are."""
MaxFailures = Annotated[int, Field(ge=0)] | Annotated[str, StringConstraints(pattern=r"^(100|[0-9]{1,2})%$")]
DEPLOYMENT_MAX_DEVICES: Final = 2_000
"""So that a plan or a view fits into one message of the bus."""


class Quality(Contract):
    """What the first batch has to show before the next one goes."""

    max_drift_ms: float = Field(gt=0, le=1000)
    """How far a reading of the drift may be from zero."""
    bars: int = Field(ge=1, le=256)
    """For so many bars in a row, of the usual length in the song's map."""


class Strategy(Contract):
    """How a rollout goes: staged on all first, then activated canary first, then batch by batch."""

    canary: int = Field(default=0, ge=0)
    """Devices of the first batch; 0: no canary."""
    batch_size: int | None = Field(default=None, ge=1)
    """Devices of each later batch; None: all together."""
    max_failures: MaxFailures = 0
    """Failed devices (a count, or a share of all such as "10%") with which the rollout still goes on; they are
    rolled back alone."""
    observe_seconds: float = Field(default=10.0, ge=0, le=3600)
    """How long each batch is watched after its activation."""
    quality: Quality | None = None
    """The measured drift of the first batch, the canary if there is one, decides whether the rollout goes on; None: it
    does not."""


def _require_when(schema: JsonObject) -> None:
    schema["required"] = ["when", *schema.get("required", [])]


class _Moment(Contract):
    """When to activate: `when` says which of the choices it is, so it cannot be left out."""

    model_config = ConfigDict(json_schema_extra=_require_when)


class ActivateNow(_Moment):
    """As soon as every device of the batch is armed."""

    when: Literal["now"] = "now"


class ActivateAt(_Moment):
    """At a clock time; later batches as soon as they may."""

    when: Literal["time"] = "time"
    at: UtcTime
    """In the future when it is ordered; otherwise the order is refused (`activation_in_the_past`)."""


class ActivateOnDownbeat(_Moment):
    """On the next downbeat of a track that plays, from its map."""

    when: Literal["downbeat"] = "downbeat"
    track_id: TrackId
    version: Version
    started_at: UtcTime
    """When its position 0 was played."""


Activation = Annotated[ActivateNow | ActivateAt | ActivateOnDownbeat, Field(discriminator="when")]


class GateOverride(Contract):
    """An operator's word that a gate is to be passed; it lands in the audit trail."""

    gate: Gate
    device_id: DeviceId | None = None
    """None: for every device."""
    reason: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=10, max_length=1000, pattern=NOT_BLANK)
    ]


class DeploymentOrder(Contract):
    """What a person asks for: some devices by id, or a group."""

    track_id: TrackId
    version: Version
    device_ids: Annotated[list[DeviceId], Field(max_length=DEPLOYMENT_MAX_DEVICES)] | None = None
    group: Group | None = None
    strategy: Strategy = Strategy()
    activation: Activation = ActivateNow()
    overrides: Annotated[list[GateOverride], Field(max_length=1000)] = Field(
        default_factory=list[GateOverride]
    )
    requested_by: Actor = "operator"


class RequestDeployment(DeploymentOrder):
    """The body of `deploy.requested`."""

    deployment_id: DeploymentId
    requested_at: UtcTime


class DeviceResult(Contract):
    device_id: DeviceId
    outcome: DeviceOutcome
    reason: str | None = None


class DeployEvent(Contract):
    deployment_id: DeploymentId
    track_id: TrackId
    version: Version
    bundle_sha256: Sha256 | None = None
    at: UtcTime


E = TypeVar("E", bound=DeployEvent)


class DeployProgressed(DeployEvent):
    """The status of a deployment changed; the body of `deploy.progressed`."""

    status: DeploymentStatus
    paused: bool = False
    total: int
    counts: dict[DeviceOutcome, int]


class DeploySucceeded(DeployEvent):
    """Every device, but for those within `max_failures`, runs the new bundle."""

    devices: list[DeviceResult]


class DeployRolledBack(DeployEvent):
    """Every device runs what it ran before, but for those that are `rollback_pending`."""

    reason: str
    devices: list[DeviceResult]


class DeployFailed(DeployEvent):
    """It ended before anything on stage changed."""

    code: str
    reason: str
    devices: list[DeviceResult]


class TrackDeployment(Contract):
    """A deployment on the page of its track, by what the catalogue was told of it."""

    id: DeploymentId
    version: Version
    status: DeploymentStatus
    paused: bool = False
    reason: str | None = None
    """Why it failed or was rolled back."""
    bundle_sha256: Sha256 | None = None
    total: int
    counts: dict[DeviceOutcome, int]
    created_at: UtcTime
    """When it was first told of."""
    updated_at: UtcTime
    ended_at: UtcTime | None = None


class StepView(Contract):
    """A step of one device's timeline."""

    step: StepName
    status: Literal["running", "done", "failed"]
    started_at: UtcTime
    ended_at: UtcTime | None = None
    attempt: int = Field(default=1, ge=1)
    detail: str | None = None
    error_ms: float | None = None
    """Of an activation: how far from the agreed time it happened, by the device's clock."""


class DeploymentChange(Contract):
    """One device's step, live: the body of `live.deploy.<deployment_id>`."""

    deployment_id: DeploymentId
    status: DeploymentStatus
    paused: bool = False
    device_id: DeviceId | None = None
    outcome: DeviceOutcome | None = None
    step: StepView | None = None
    percent: float | None = None
    at: UtcTime


DEPLOY_REQUESTED: Final = Command(
    "deploy.requested",
    RequestDeployment,
    summary="Put a version on devices",
    senders=("gateway",),
    receivers=("deploy",),
    stream=EVENTS,
    subject_id=lambda command: command.deployment_id,
    time=lambda command: command.requested_at,
    role="operator",
)


def _event(subject: str, model: type[E], summary: str) -> Event[E]:
    return Event(
        subject,
        model,
        summary=summary,
        senders=("deploy",),
        receivers=("catalogue", "telemetry"),
        stream=EVENTS,
        subject_id=lambda event: event.deployment_id,
        time=lambda event: event.at,
    )


DEPLOY_PROGRESSED: Final = _event("deploy.progressed", DeployProgressed, "The status of a deployment changed")
DEPLOY_SUCCEEDED: Final = _event("deploy.succeeded", DeploySucceeded, "The devices run the new bundle")
DEPLOY_ROLLED_BACK: Final = _event(
    "deploy.rolled_back", DeployRolledBack, "The devices run what they ran before"
)
DEPLOY_FAILED: Final = _event("deploy.failed", DeployFailed, "It ended before anything changed")
DEPLOYMENT_CHANGED: Final = LiveMessage(
    "live.deploy.{deployment_id}",
    DeploymentChange,
    summary="Steps of a deployment",
    senders=("deploy",),
    receivers=("gateway",),
    stream=LIVE,
)
