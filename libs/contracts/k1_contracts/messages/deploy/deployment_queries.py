"""Defines the queries about deployments: plans, lists, views and control."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.actors import ActorKind
from k1_contracts.base import NO_NUL, Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.graph import GraphImpact
from k1_contracts.ids import DeploymentId, Sha256, TrackId
from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import (
    Activation,
    Actor,
    DeploymentOrder,
    DeploymentStatus,
    DeviceOutcome,
    Gate,
    GateOverride,
    StepView,
    Strategy,
)
from k1_contracts.messages.deploy.device_link import DeviceId, RunningBundle
from k1_contracts.rpc import Cursor, Limit, Offset
from k1_contracts.tracks import Version


class PlanDeployment(DeploymentOrder):
    """What would come of an order."""

    with_impacts: bool = False
    """Whether to compare the graphs as well, which takes a moment."""


class Check(Contract):
    """One gate for one device, or for the show itself (no device)."""

    gate: Gate
    passed: bool
    overridden: bool = False
    reason: str | None = None
    """Why it did not pass, and what to do."""


class DevicePlan(Contract):
    """What would happen to one device."""

    device_id: DeviceId
    batch: int | None = None
    """1 is first; None: it is blocked."""
    checks: list[Check]
    runs: RunningBundle | None = None


class DeploymentPlan(Contract):
    """A dry run: nothing was changed."""

    bundle: BundleRef
    checks: list[Check]
    """Of the show."""
    devices: list[DevicePlan]
    impacts: dict[Sha256, GraphImpact] = Field(default_factory=dict[str, GraphImpact])
    """What changes for a device, by the bundle that it runs; of bundles that are not known any more nothing."""
    batches: list[list[DeviceId]]
    would_start: bool
    waits_for: list[DeploymentId]
    """Deployments that hold one of the devices."""
    steps: list[str]
    """What would happen, in order, in words."""


class DeviceDeployment(Contract):
    """One device in a deployment."""

    device_id: DeviceId
    outcome: DeviceOutcome
    reason: str | None = None
    batch: int | None = None
    before: RunningBundle | None = None
    """What it ran, and goes back to."""
    percent: float | None = Field(default=None, ge=0, le=100)
    """Of the transfer, while it is staged."""
    steps: list[StepView] = Field(default_factory=list[StepView])


class LogLine(Contract):
    seq: int
    at: UtcTime
    text: str
    device_id: DeviceId | None = None


class AuditLine(Contract):
    at: UtcTime
    actor: str
    """The name of who acted."""
    actor_kind: ActorKind | None = None
    """Absent in lines from before sign-in."""
    actor_id: str | None = None
    action: str
    detail: str | None = None


class DeploymentSummary(Contract):
    id: DeploymentId
    track_id: TrackId
    version: Version
    status: DeploymentStatus
    paused: bool = False
    reason: str | None = None
    requested_by: str
    bundle_sha256: Sha256 | None = None
    total: int
    counts: dict[DeviceOutcome, int]
    created_at: UtcTime
    updated_at: UtcTime
    ended_at: UtcTime | None = None


class DeploymentView(DeploymentSummary):
    strategy: Strategy
    activation: Activation
    overrides: list[GateOverride]
    checks: list[Check]
    """Of the show."""
    waits_for: list[DeploymentId] = Field(default_factory=list[str])
    devices: list[DeviceDeployment]
    log: list[LogLine]
    audit: list[AuditLine]
    trace_id: str | None = None


class DeploymentPage(Contract):
    total: int
    items: list[DeploymentSummary]
    next_cursor: Cursor | None = None


class ListDeployments(Contract):
    track_id: TrackId | None = None
    device_id: DeviceId | None = None
    status: DeploymentStatus | None = None
    limit: Limit = 50
    offset: Offset = 0
    cursor: Cursor | None = None
    """`next_cursor` of the page before; takes the place of `offset`."""


class GetDeployment(Contract):
    deployment_id: DeploymentId


class ControlDeployment(Contract):
    """Cancel, roll back, pause or resume, by hand."""

    deployment_id: DeploymentId
    action: Literal["cancel", "rollback", "pause", "resume"]
    requested_by: Actor = "operator"
    reason: Annotated[str, StringConstraints(max_length=1000, pattern=NO_NUL)] | None = None


class DeploymentAccepted(Contract):
    deployment_id: DeploymentId
    status: Literal["queued"] = "queued"


DEPLOYMENT_PLAN: Final = Query(
    "rpc.deploy.deployment.plan",
    PlanDeployment,
    DeploymentPlan,
    summary="What a deployment would do",
    role="operator",
)
DEPLOYMENT_LIST: Final = Query(
    "rpc.deploy.deployment.list", ListDeployments, DeploymentPage, summary="The newest deployments"
)
DEPLOYMENT_GET: Final = Query(
    "rpc.deploy.deployment.get", GetDeployment, DeploymentView, summary="One deployment"
)
DEPLOYMENT_CONTROL: Final = Query(
    "rpc.deploy.deployment.control",
    ControlDeployment,
    DeploymentView,
    summary="Cancel, roll back, pause or resume",
    role="operator",
)
