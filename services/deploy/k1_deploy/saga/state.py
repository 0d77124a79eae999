"""The state of a deployment, folded from its log. Frozen; `transitions` makes the next state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from k1_contracts.messages.deploy.bundles import BundleRef
from k1_contracts.messages.deploy.deployments import ActivateNow, Activation, DeploymentStatus, Strategy
from k1_deploy.saga.device import Device
from k1_deploy.saga.strategy import allowed_failures

NEXT_STATUSES: Final[Mapping[DeploymentStatus, frozenset[DeploymentStatus]]] = {
    "queued": frozenset({"checking", "discarding"}),
    "checking": frozenset({"staging", "discarding"}),
    "staging": frozenset({"activating", "discarding"}),
    # `discarding` is legal only while no device was sent an activation.
    "activating": frozenset({"observing", "discarding", "rolling_back"}),
    "observing": frozenset({"activating", "committing", "rolling_back"}),
    "committing": frozenset({"succeeded", "rolling_back"}),
    "succeeded": frozenset({"rolling_back"}),
    "discarding": frozenset({"failed", "cancelled"}),
    "rolling_back": frozenset({"rolled_back", "rollback_pending"}),
    "rollback_pending": frozenset({"rolled_back"}),
    "rolled_back": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""The legal transitions."""
FORWARD: Final[frozenset[DeploymentStatus]] = frozenset(
    {"queued", "checking", "staging", "activating", "observing", "committing"}
)
"""On the way to success; from each of them the deployment can turn back."""
TURNING_BACK: Final[frozenset[DeploymentStatus]] = frozenset({"discarding", "rolling_back"})
LOCKING: Final[frozenset[DeploymentStatus]] = FORWARD | TURNING_BACK
"""In these statuses the deployment keeps its locks."""


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why a deployment turns back."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """The state of a deployment."""

    deployment_id: str
    opened: bool = False
    status: DeploymentStatus = "queued"
    bundle: BundleRef | None = None
    strategy: Strategy = field(default_factory=Strategy)
    activation: Activation = field(default_factory=ActivateNow)
    devices: Mapping[str, Device] = field(default_factory=dict[str, Device])
    """In the order of the request."""
    batch: int = 0
    """The batch that is being activated or observed; 0 before the first."""
    paused: bool = False
    stop: StopReason | None = None
    """Set by a person, by a problem of the order, or by failures; also the reason of the final status."""
    until: datetime | None = None
    """The end of the observation."""
    guard_s: float = 0.0
    guard_until: datetime | None = None
    """The end of the guard time after the success."""
    closed: bool = False
    """Alarms have no effect any more."""
    owner: str | None = None

    @property
    def total(self) -> int:
        return len(self.devices)

    @property
    def allowed_failures(self) -> int:
        return allowed_failures(self.strategy, self.total)

    @property
    def failed(self) -> list[Device]:
        return [device for device in self.devices.values() if device.failed]

    @property
    def current_batch(self) -> list[Device]:
        return [device for device in self.devices.values() if device.batch == self.batch]

    @property
    def unmeasured(self) -> list[Device]:
        """Return the devices of the current batch whose quality is still to be measured."""
        if self.strategy.quality is None or self.batch != 1:
            return []
        return [device for device in self.current_batch if not device.failed and not device.quality_passed]

    @property
    def last_batch(self) -> int:
        return max((device.batch or 0 for device in self.devices.values()), default=0)

    @property
    def has_activated(self) -> bool:
        """Whether any device was sent an activation: from then on turning back is a rollback."""
        return any(device.activations for device in self.devices.values())

    def counts(self) -> dict[str, int]:
        """Return the number of devices with each outcome."""
        counted: dict[str, int] = {}
        for device in self.devices.values():
            counted[device.outcome] = counted.get(device.outcome, 0) + 1
        return counted

    def expects(self, device_id: str, command_id: str) -> bool:
        """Return whether the outcome of this command still matters: not if its step was undone meanwhile."""
        device = self.devices[device_id]
        return device.open is not None and device.open.command_id == command_id
