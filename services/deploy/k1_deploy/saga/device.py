"""One device in a deployment: named transitions, each of which raises when it is illegal in the device's state.

```
pending -> staging -> staged -> activating -> active -> committed
   |          |          |           |           |          |
blocked     failed     failed      failed      failed     failed      (a step or an alarm)
              '--- discard ---> discarded        '--- rollback ---> rolled_back, then discard
                                                      unreachable: rollback_pending, reconciled later
```

`undo` lists the compensations that are due, oldest first. A step's *intent* adds its compensation, so that a step
with an unknown result is undone as well.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from k1_contracts.messages.deploy.deployments import DeviceOutcome
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_deploy.saga.entries import UNDOES, DeviceStepName, Intent, Outcome
from k1_deploy.saga.errors import IllegalTransitionError

FORWARD: Final[frozenset[DeviceStepName]] = frozenset({"check", "stage", "activate", "verify"})
ACTIVATION_ROUNDS: Final = 3
"""How often a new moment is agreed after interrupted activations."""
_BEGINS: Final[dict[DeviceStepName, tuple[DeviceOutcome, DeviceOutcome]]] = {
    "check": ("pending", "pending"),
    "stage": ("pending", "staging"),
    "activate": ("staged", "activating"),
    "verify": ("active", "active"),
}
"""The outcome from which a step may begin, and the outcome while it is in progress."""
_SUCCEEDS: Final[dict[DeviceStepName, DeviceOutcome]] = {
    "check": "pending",
    "stage": "staged",
    "activate": "active",
    "verify": "active",
    "rollback": "rolled_back",
}


@dataclass(frozen=True, slots=True)
class Device:
    """The state of one device."""

    id: str
    outcome: DeviceOutcome = "pending"
    batch: int | None = None
    """1 is first; None before the first activation."""
    before: RunningBundle | None = None
    """What it ran when it was checked."""
    reason: str | None = None
    """Why it failed."""
    open: Intent | None = None
    """The step that is in progress."""
    undo: tuple[DeviceStepName, ...] = ()
    checked: bool = False
    verified: bool = False
    quality_passed: bool = False
    """Its drift was measured, and is good enough for the next batch."""
    failed: bool = False
    """Counts against `max_failures`, also after a rollback."""
    locked: bool = False
    committed: bool = False
    """Its desired state is the new bundle; otherwise it is the previous one."""
    superseded: bool = False
    """A later deployment sets its desired state."""
    activations: int = 0
    planned_for: datetime | None = None
    activated_at: datetime | None = None

    @property
    def next_undo(self) -> DeviceStepName | None:
        """The next compensation that is due: that of the newest step."""
        return self.undo[-1] if self.undo and not self.superseded else None

    def begin(self, intent: Intent) -> Self:
        """Begin a step, or a new round of it; a compensation ends the step that it undoes."""
        again = self.open is not None and self.open.step == intent.step
        if intent.step in FORWARD:
            start, meanwhile = _BEGINS[intent.step]
            legal = again or (self.open is None and self.outcome == start and not self.failed)
        else:
            meanwhile = "rolling_back" if intent.step == "rollback" else self.outcome
            legal = self.next_undo == intent.step
        if not legal or (again and self.open and intent.round <= self.open.round):
            raise IllegalTransitionError(f"{intent.step} cannot begin on {self._description()}")
        taken = UNDOES.get(intent.step)
        undo = (*self.undo, taken) if taken and taken not in self.undo else self.undo
        begun = replace(self, open=intent, outcome=meanwhile, undo=undo)
        if intent.step != "activate":
            return begun
        return replace(begun, activations=self.activations + 1, planned_for=intent.planned_for)

    def end(self, outcome: Outcome) -> Self:
        """End the step in progress."""
        if self.open is None or self.open.step != outcome.step:
            raise IllegalTransitionError(f"{outcome.step} cannot end on {self._description()}")
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
        """Mark the device as failed; its steps are to be undone."""
        if self.failed or (self.open and self.open.step not in FORWARD):
            raise IllegalTransitionError(
                f"{self._description()} cannot fail: it is being rolled back already"
            )
        return replace(self, outcome="failed", failed=True, reason=reason, open=None)

    def pass_quality(self) -> Self:
        """Record that the device keeps the beat."""
        if self.outcome != "active" or not self.verified:
            raise IllegalTransitionError(f"{self._description()} is not observed and cannot be measured")
        return replace(self, quality_passed=True)

    def commit(self) -> Self:
        """Make the new bundle the desired state."""
        if self.outcome != "active" or not self.verified:
            raise IllegalTransitionError(f"{self._description()} is not verified and cannot be committed")
        return replace(self, outcome="committed", committed=True)

    def reconcile(self) -> Self:
        """Mark the device as rolled back, after it had been unreachable."""
        if self.outcome != "rollback_pending":
            raise IllegalTransitionError(f"{self._description()} is not rollback_pending")
        return replace(self, outcome="rolled_back")

    def lock(self) -> Self:
        """Lock the device for this deployment."""
        return replace(self, locked=True)

    def unlock(self) -> Self:
        """Release the device."""
        return replace(self, locked=False)

    def supersede(self) -> Self:
        """Leave the desired state to a later deployment."""
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
            # The reconciler continues from here. Nothing may be discarded on a device that may still run it.
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
            raise IllegalTransitionError(f"only an activation can be interrupted, not {self._description()}")
        if self.activations >= ACTIVATION_ROUNDS:
            return self.fail("its activation was interrupted too often")
        return replace(self, open=None, outcome="staged")

    def _discarded(self) -> Self:
        """Remove the compensation, also when it failed: the reconciler discards leftovers."""
        outcome = self.outcome if self.outcome == "rolled_back" else "discarded"
        return replace(self, open=None, undo=self.undo[:-1], outcome=outcome)

    def _description(self) -> str:
        step = f", {self.open.step} under way" if self.open else ""
        return f"device {self.id} ({self.outcome}{step})"
