"""What a device keeps over a restart."""

from typing import Final

from pydantic import Field

from k1_contracts.base import Contract
from k1_contracts.devices import Activate, DeviceId, DeviceReply, RunningBundle, Stage
from k1_contracts.ids import Sha256

ANSWERS_KEPT: Final = 64
"""Answers to the newest commands; an older command that comes again is judged anew."""


class HeldBundle(RunningBundle):
    """A whole, checked bundle in a slot; `size` in bytes."""

    size: int


class StageJob(Contract):
    """A transfer that has not ended, and the commands that wait for it."""

    command: Stage
    waiting: tuple[str, ...]


class Memory(Contract):
    """Frozen: a command turns one memory into the next, which is on the disk before anything is answered."""

    device_id: DeviceId
    boots: int = 0
    fence: int = 0
    """The highest that a command carried."""
    active: HeldBundle | None = None
    active_since_ms: float | None = None
    """Device clock; None after a restart, when that clock has begun anew."""
    others: tuple[HeldBundle, ...] = ()
    """The bundles that do not run, the oldest first: one beside an active bundle, at most two without."""
    partial: Sha256 | None = None
    """The bundle of which a part is kept, so that its transfer goes on where it broke off."""
    job: StageJob | None = None
    armed: Activate | None = None
    trusted: dict[str, str] = Field(default_factory=dict[str, str])
    """Public keys, 32 bytes base64url, by key id."""
    answers: tuple[DeviceReply, ...] = ()
    """The newest answer to each command that was begun, the oldest command first, without `hello`."""

    @property
    def held(self) -> tuple[HeldBundle, ...]:
        """Every whole bundle."""
        return self.others if self.active is None else (*self.others, self.active)

    def find(self, bundle_sha256: str) -> HeldBundle | None:
        """The whole bundle with this address."""
        return next((bundle for bundle in self.held if bundle.bundle_sha256 == bundle_sha256), None)

    def answer_to(self, command_id: str) -> DeviceReply | None:
        """The newest answer to a command that was begun."""
        return next((answer for answer in self.answers if answer.command_id == command_id), None)

    def remembering(self, answer: DeviceReply) -> "Memory":
        """The same with this as the newest answer to its command."""
        bare = answer.model_copy(update={"hello": None})
        others = tuple(kept for kept in self.answers if kept.command_id != answer.command_id)
        return self.model_copy(update={"answers": (*others, bare)[-ANSWERS_KEPT:]})

    def running(self, bundle: HeldBundle | None, at_ms: float) -> "Memory":
        """The same with this bundle active, None for the idle show; what ran before is kept as the newest other."""
        others = tuple(kept for kept in self.held if bundle is None or kept != bundle)
        changed = self.model_copy(update={"active": bundle, "others": others, "active_since_ms": at_ms})
        return changed.fitted()

    def fitted(self) -> "Memory":
        """The same without the oldest bundles for which there is no slot."""
        slots = 2 if self.active is None else 1
        return self.model_copy(update={"others": self.others[-slots:]})
