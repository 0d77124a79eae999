"""The state of a deployment: what its log comes to. Frozen; `transitions` makes the next one of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from k1_contracts.messages.bundles import BundleRef
from k1_contracts.messages.deployments import ActivateNow, Activation, DeploymentStatus, Strategy
from k1_deploy.saga.device import Device
from k1_deploy.saga.strategy import allowed_failures

NEXT: Final[Mapping[DeploymentStatus, frozenset[DeploymentStatus]]] = {
    "queued": frozenset({"checking", "discarding"}),
    "checking": frozenset({"staging", "discarding"}),
    "staging": frozenset({"activating", "discarding"}),
    # Back by `discarding` only while no device has been told to activate.
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
"""On the way to success; from each of them the deployment can be turned back."""
TURNED_BACK: Final[frozenset[DeploymentStatus]] = frozenset({"discarding", "rolling_back"})
LIVE: Final[frozenset[DeploymentStatus]] = FORWARD | TURNED_BACK
"""While it is in one of these, the devices that it has locked are its alone."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a deployment is to turn back."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a deployment is."""

    deployment_id: str
    opened: bool = False
    status: DeploymentStatus = "queued"
    bundle: BundleRef | None = None
    strategy: Strategy = field(default_factory=Strategy)
    activation: Activation = field(default_factory=ActivateNow)
    devices: Mapping[str, Device] = field(default_factory=dict[str, Device])
    """In the order of the request."""
    batch: int = 0
    """The one that is being activated or observed; 0 before the first."""
    paused: bool = False
    stop: Stop | None = None
    """Turned back by a person, or impossible from the beginning; also the reason that it ended with."""
    until: datetime | None = None
    """The end of observing."""
    guard_s: float = 0.0
    guard_until: datetime | None = None
    """Until when drift rolls a device back after the success."""
    closed: bool = False
    """Nothing is watched any more."""
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
    def last_batch(self) -> int:
        return max((device.batch or 0 for device in self.devices.values()), default=0)

    @property
    def stage_is_touched(self) -> bool:
        """Whether any device was told to activate: from then on the way back is a rollback."""
        return any(device.activations for device in self.devices.values())

    def counts(self) -> dict[str, int]:
        """How many devices have each outcome."""
        counted: dict[str, int] = {}
        for device in self.devices.values():
            counted[device.outcome] = counted.get(device.outcome, 0) + 1
        return counted

    def expects(self, device_id: str, command_id: str) -> bool:
        """Whether the outcome of this command is still of interest: not if its step was taken back meanwhile."""
        device = self.devices[device_id]
        return device.open is not None and device.open.command_id == command_id
