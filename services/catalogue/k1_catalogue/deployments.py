"""What is told of a deployment, put together. Pure.

Every change of status is told by `deploy.progressed`, an end by a second fact that says why. Facts arrive late,
twice and out of order: the status is that of the latest moment, the reason that of the latest end. Thereby the
same facts in any order, each told any number of times, give the same deployment.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, get_args

from k1_contracts.messages.deployments import (
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

DeployFact = DeployProgressed | DeploySucceeded | DeployRolledBack | DeployFailed

_ORDER: Final[Sequence[DeploymentStatus]] = get_args(DeploymentStatus)
"""Of two statuses of one millisecond the one further on in this list came last."""
CANCELLED: Final = "cancelled"
"""The code of a `deploy.failed` that a person wanted."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a track; `status` and what stands beside it are those of `updated_at`."""

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

    def shown(self) -> TrackDeployment:
        """As a track's page lists it."""
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


def receive(known: Deployment | None, fact: DeployFact) -> Deployment:
    """The deployment after `fact`."""
    told = _told(fact)
    if known is None:
        return told
    newest = max((known, told), key=lambda each: (each.updated_at, _ORDER.index(each.status)))
    why = max((known, told), key=_latest_reason)
    return replace(
        newest,
        created_at=min(known.created_at, told.created_at),
        reason=why.reason,
        reason_at=why.reason_at,
    )


def _latest_reason(each: Deployment) -> tuple[bool, float, str]:
    at = each.reason_at.timestamp() if each.reason_at else 0.0
    return each.reason is not None, at, each.reason or ""


def _told(fact: DeployFact) -> Deployment:
    """The deployment of which nothing but this fact is known."""
    reason = fact.reason if isinstance(fact, DeployRolledBack | DeployFailed) else None
    if isinstance(fact, DeployProgressed):
        status, paused, total, counts = fact.status, fact.paused, fact.total, fact.counts
    else:
        status, paused, total, counts = _ending(fact), False, len(fact.devices), _counts(fact.devices)
    return Deployment(
        id=fact.deployment_id,
        track_id=fact.track_id,
        version=fact.version,
        status=status,
        paused=paused,
        bundle_sha256=fact.bundle_sha256,
        total=total,
        counts=counts,
        created_at=fact.at,
        updated_at=fact.at,
        reason=reason,
        reason_at=fact.at if reason is not None else None,
    )


def _ending(fact: DeploySucceeded | DeployRolledBack | DeployFailed) -> DeploymentStatus:
    match fact:
        case DeploySucceeded():
            return "succeeded"
        case DeployRolledBack():
            pending = any(device.outcome == "rollback_pending" for device in fact.devices)
            return "rollback_pending" if pending else "rolled_back"
        case DeployFailed():
            return "cancelled" if fact.code == CANCELLED else "failed"


def _counts(devices: Sequence[DeviceResult]) -> dict[DeviceOutcome, int]:
    return dict(Counter(device.outcome for device in devices))
