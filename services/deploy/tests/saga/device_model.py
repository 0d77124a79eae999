"""A model of a device, and the faults that it and the network may have."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.deploy.tests.saga.sample_deployment import NEW, OLD

Fault = Literal[
    "none",
    "lost",  # the command does not arrive
    "unanswered",  # it arrives, the answer does not
    "late",  # it arrives later, whatever has happened meanwhile
    "twice",
    "refused",
    "crash_old",  # after the activation it is away, and comes back with the old bundle
    "crash_new",  # and comes back with the new one
    "lie",  # it says that it activated and did not
]
FAULTS: tuple[Fault, ...] = (
    "none",
    "lost",
    "unanswered",
    "late",
    "twice",
    "refused",
    "crash_old",
    "crash_new",
    "lie",
)


@dataclass
class ModelDevice:
    """A K1 without bytes."""

    id: str
    active: str = OLD
    staged: set[str] = field(default_factory=set)
    online: bool = True
    fence: int = 0
    armed: datetime | None = None
    on_activation: Fault = "none"
    answers: dict[str, bool] = field(default_factory=dict)
    discarded_active: bool = False

    def command(self, verb: str, id_: str, fence: int, at: datetime | None = None) -> bool | None:
        """Return True: done; False: rejected; None: armed, the final reply comes later."""
        if fence < self.fence:
            return False
        self.fence = fence
        if id_ in self.answers:
            return self.answers[id_]
        answer = getattr(self, f"_{verb}")(at)
        if answer is not None:
            self.answers[id_] = answer
        return answer

    def holds(self, sha256: str) -> bool:
        return self.active == sha256 or sha256 in self.staged

    def _info(self, _at: datetime | None) -> bool:
        return True

    def _stage(self, _at: datetime | None) -> bool:
        self.staged.add(NEW)
        return True

    def _activate(self, at: datetime | None) -> bool | None:
        if self.active == NEW:
            return True
        if NEW not in self.staged:
            return False
        self.armed = at
        return None

    def _deactivate(self, _at: datetime | None) -> bool:
        self.armed = None
        if self.active != OLD:
            self._swap(OLD)
        return True

    def _discard(self, _at: datetime | None) -> bool:
        if self.active == NEW:
            self.discarded_active = True
            return False
        self.armed = None
        self.staged.discard(NEW)
        return True

    def _swap(self, to: str) -> None:
        assert to in self.staged, f"{self.id} has no playable bundle to change to"
        self.staged = (self.staged - {to}) | {self.active}
        self.active = to

    def tick(self, now: datetime) -> None:
        """Activate if the agreed moment has come."""
        if self.armed is None or now < self.armed or not self.holds(NEW):
            return
        self.armed = None
        if self.on_activation == "lie":
            return
        if self.on_activation in {"crash_old", "crash_new"}:
            self.online = False
        if self.on_activation != "crash_old" and self.active != NEW:
            self._swap(NEW)
