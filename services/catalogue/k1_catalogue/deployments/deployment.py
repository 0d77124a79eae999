"""The state of a deployment, folded from its events. Pure.

`deploy.progressed` announces every change of status; a second event announces the end and its reason. Events arrive
late, more than once and out of order: the status is that of the latest event, the reason that of the latest end. So
the same events in any order, each delivered any number of times, give the same deployment.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, get_args

from k1_contracts.messages.deploy.deployments import (
    ENDED,
    DeployFailed,
    DeploymentStatus,
    DeployProgressed,
    DeployRolledBack,
    DeploySucceeded,
    DeviceOutcome,
    DeviceResult,
    TrackDeployment,
)

DeploymentEvent = DeployProgressed | DeploySucceeded | DeployRolledBack | DeployFailed

_ORDER: Final[Sequence[DeploymentStatus]] = get_args(DeploymentStatus)
"""Of two statuses with the same time in ms, the one later in this list came last."""
CANCELLED: Final = "cancelled"
"""The code of a `deploy.failed` event whose deployment a person cancelled."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a track; `status`, `paused`, `total` and `counts` are those at `updated_at`."""

    id: str
    track_id: str
    version: int
    status: DeploymentStatus
    paused: bool
    bundle_sha256: str | None
    total: int
    counts: dict[DeviceOutcome, int]
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    reason_at: datetime | None = None

    def to_response(self) -> TrackDeployment:
        """Return the deployment as a track's detail lists it."""
        return TrackDeployment(
            id=self.id,
            version=self.version,
            status=self.status,
            paused=self.paused,
            reason=self.reason,
            bundle_sha256=self.bundle_sha256,
            total=self.total,
            counts=self.counts,
            created_at=self.created_at,
            updated_at=self.updated_at,
            ended_at=self.updated_at if self.status in ENDED else None,
        )


def apply_event(before: Deployment | None, event: DeploymentEvent) -> Deployment:
    """Return the deployment after `event`; `before` is None for the first event."""
    new = _from_event(event)
    if before is None:
        return new
    newest = max((before, new), key=lambda each: (each.updated_at, _ORDER.index(each.status)))
    with_reason = max((before, new), key=_reason_key)
    return replace(
        newest,
        created_at=min(before.created_at, new.created_at),
        reason=with_reason.reason,
        reason_at=with_reason.reason_at,
    )


def _reason_key(each: Deployment) -> tuple[bool, float, str]:
    at = each.reason_at.timestamp() if each.reason_at else 0.0
    return each.reason is not None, at, each.reason or ""


def _from_event(event: DeploymentEvent) -> Deployment:
    """Return the deployment as this event alone describes it."""
    reason = event.reason if isinstance(event, DeployRolledBack | DeployFailed) else None
    if isinstance(event, DeployProgressed):
        status, paused, total, counts = event.status, event.paused, event.total, event.counts
    else:
        status, paused, total, counts = (
            _final_status(event),
            False,
            len(event.devices),
            _counts(event.devices),
        )
    return Deployment(
        id=event.deployment_id,
        track_id=event.track_id,
        version=event.version,
        status=status,
        paused=paused,
        bundle_sha256=event.bundle_sha256,
        total=total,
        counts=counts,
        created_at=event.at,
        updated_at=event.at,
        reason=reason,
        reason_at=event.at if reason is not None else None,
    )


def _final_status(event: DeploySucceeded | DeployRolledBack | DeployFailed) -> DeploymentStatus:
    match event:
        case DeploySucceeded():
            return "succeeded"
        case DeployRolledBack():
            pending = any(device.outcome == "rollback_pending" for device in event.devices)
            return "rollback_pending" if pending else "rolled_back"
        case DeployFailed():
            return "cancelled" if event.code == CANCELLED else "failed"


def _counts(devices: Sequence[DeviceResult]) -> dict[DeviceOutcome, int]:
    return dict(Counter(device.outcome for device in devices))
