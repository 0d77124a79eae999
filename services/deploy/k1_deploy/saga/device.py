"""One device in a deployment: named transitions, each raising when it is not legal from where the device is.

```
pending -> staging -> staged -> activating -> active -> committed
   |          |          |           |           |          |
blocked     failed     failed      failed      failed     failed      (a step or an alarm)
              '--- discard ---> discarded        '--- rollback ---> rolled_back, then discard
                                                      unreachable: rollback_pending, healed later
```

`undo` is what must be done to take the device back, oldest first. It grows with the *intent* of a step, so
that a step of which nobody knows whether it happened is taken back as well.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from k1_contracts.messages.deployments import DeviceOutcome
from k1_contracts.messages.device_link import RunningBundle
from k1_deploy.saga.entries import UNDOES, DeviceStepName, Intent, Outcome
from k1_deploy.saga.errors import IllegalTransitionError

FORWARD: Final[frozenset[DeviceStepName]] = frozenset({"check", "stage", "activate", "verify"})
ACTIVATION_ROUNDS: Final = 3
"""How often a moment is agreed anew when the processes that saw to it went away."""
_BEGINS: Final[dict[DeviceStepName, tuple[DeviceOutcome, DeviceOutcome]]] = {
    "check": ("pending", "pending"),
    "stage": ("pending", "staging"),
    "activate": ("staged", "activating"),
    "verify": ("active", "active"),
}
"""From which outcome a step may begin, and what the device is meanwhile."""
_SUCCEEDS: Final[dict[DeviceStepName, DeviceOutcome]] = {
    "check": "pending",
    "stage": "staged",
    "activate": "active",
    "verify": "active",
    "rollback": "rolled_back",
}


@dataclass(frozen=True, slots=True)
class Device:
    """Where one device is."""

    id: str
    outcome: DeviceOutcome = "pending"
    batch: int | None = None
    """1 is first; known when the first activation begins."""
    before: RunningBundle | None = None
    """What it ran when it was checked."""
    reason: str | None = None
    """Why it failed."""
    open: Intent | None = None
    """The step that has begun and not ended."""
    undo: tuple[DeviceStepName, ...] = ()
    checked: bool = False
    verified: bool = False
    failed: bool = False
    """Counts against `max_failures`, also after it was taken back."""
    locked: bool = False
    committed: bool = False
    """It should run the new bundle; what it ran before otherwise."""
    superseded: bool = False
    """A later deployment decides what it runs."""
    activations: int = 0
    planned_for: datetime | None = None
    activated_at: datetime | None = None

    @property
    def next_undo(self) -> DeviceStepName | None:
        """The newest step back that is due."""
        return self.undo[-1] if self.undo and not self.superseded else None

    def begin(self, intent: Intent) -> Self:
        """A step begins, or begins again with a new round; a step back ends the one that it takes back."""
        again = self.open is not None and self.open.step == intent.step
        if intent.step in FORWARD:
            start, meanwhile = _BEGINS[intent.step]
            legal = again or (self.open is None and self.outcome == start and not self.failed)
        else:
            meanwhile = "rolling_back" if intent.step == "rollback" else self.outcome
            legal = self.next_undo == intent.step
        if not legal or (again and self.open and intent.round <= self.open.round):
            raise IllegalTransitionError(f"{intent.step} cannot begin on {self._where()}")
        taken = UNDOES.get(intent.step)
        undo = (*self.undo, taken) if taken and taken not in self.undo else self.undo
        begun = replace(self, open=intent, outcome=meanwhile, undo=undo)
        if intent.step != "activate":
            return begun
        return replace(begun, activations=self.activations + 1, planned_for=intent.planned_for)

    def end(self, outcome: Outcome) -> Self:
        """The open step ended."""
        if self.open is None or self.open.step != outcome.step:
            raise IllegalTransitionError(f"{outcome.step} cannot end on {self._where()}")
        if outcome.step == "discard":
            return self._discarded()
        match outcome.result:
            case "done":
                return self._succeed(outcome)
            case "failed":
                return self._fail_step(outcome.step, outcome.reason or "no reason was given")
            case "interrupted":
                return self._interrupted()

    def fail(self, reason: str) -> Self:
        """It counts as failed; what was done to it is to be taken back."""
        if self.failed or (self.open and self.open.step not in FORWARD):
            raise IllegalTransitionError(f"{self._where()} cannot fail: it is being taken back already")
        return replace(self, outcome="failed", failed=True, reason=reason, open=None)

    def commit(self) -> Self:
        """The new bundle is what it should run."""
        if self.outcome != "active" or not self.verified:
            raise IllegalTransitionError(f"{self._where()} is not verified and cannot be committed")
        return replace(self, outcome="committed", committed=True)

    def heal(self) -> Self:
        """It was put right after it had been out of reach."""
        if self.outcome != "rollback_pending":
            raise IllegalTransitionError(f"{self._where()} does not wait to be healed")
        return replace(self, outcome="rolled_back")

    def lock(self) -> Self:
        """It is this deployment's alone."""
        return replace(self, locked=True)

    def unlock(self) -> Self:
        """Others may have it."""
        return replace(self, locked=False)

    def supersede(self) -> Self:
        """A later deployment decides what it runs."""
        reason = self.reason or "a later deployment decides what it runs"
        return replace(self, superseded=True, committed=False, reason=reason)

    def _succeed(self, outcome: Outcome) -> Self:
        ended = replace(self, open=None, outcome=_SUCCEEDS[outcome.step])
        match outcome.step:
            case "check":
                return replace(ended, checked=True, before=outcome.before)
            case "activate":
                return replace(ended, activated_at=outcome.happened_at or outcome.at)
            case "verify":
                return replace(ended, verified=True)
            case "rollback":
                return replace(ended, undo=self.undo[:-1], committed=False)
            case _:
                return ended

    def _fail_step(self, step: DeviceStepName, reason: str) -> Self:
        if step == "check":
            return replace(self, outcome="blocked", failed=True, reason=reason, open=None)
        if step == "rollback":
            # From here on healing sees to it; nothing can be discarded on a device that may still run it.
            return replace(
                self,
                outcome="rollback_pending",
                open=None,
                undo=(),
                committed=False,
                reason=self.reason or reason,
            )
        return self.fail(reason)

    def _interrupted(self) -> Self:
        if self.open is None or self.open.step != "activate":
            raise IllegalTransitionError(f"only an activation can be interrupted, not {self._where()}")
        if self.activations >= ACTIVATION_ROUNDS:
            return self.fail("its activation was interrupted too often")
        return replace(self, open=None, outcome="staged")

    def _discarded(self) -> Self:
        """Also when it failed: healing discards what lies on a device and is of no use."""
        outcome = self.outcome if self.outcome == "rolled_back" else "discarded"
        return replace(self, open=None, undo=self.undo[:-1], outcome=outcome)

    def _where(self) -> str:
        step = f", {self.open.step} under way" if self.open else ""
        return f"device {self.id} ({self.outcome}{step})"
