"""Defines what a device keeps over a restart."""

from typing import Final

from pydantic import Field

from k1_contracts.base import Contract
from k1_contracts.ids import Sha256
from k1_contracts.messages.deploy.device_link import Activate, DeviceId, DeviceReply, RunningBundle, Stage

ANSWERS_KEPT: Final = 64
"""Replies to the newest commands are kept; an older command that is repeated is executed again."""


class HeldBundle(RunningBundle):
    """A complete, verified bundle in a slot; `size` in bytes."""

    size: int
    duration_ms: float | None = None
    """Of its song; None for the show from the factory, which has no end."""


class StageJob(Contract):
    """A transfer that has not ended, and the commands that wait for it."""

    command: Stage
    waiting: tuple[str, ...]


class Memory(Contract):
    """The state of a device. It is immutable: a command creates the next state, which is saved before any reply."""

    device_id: DeviceId
    boots: int = 0
    fence: int = 0
    """The highest fencing token of any command."""
    active: HeldBundle | None = None
    active_since_ms: float | None = None
    """On the device clock; after a restart the show begins again."""
    others: tuple[HeldBundle, ...] = ()
    """The bundles that do not run, oldest first: one beside an active bundle, at most two without."""
    partial: Sha256 | None = None
    """The bundle of which a part is kept, so that its transfer can continue."""
    job: StageJob | None = None
    armed: Activate | None = None
    trusted: dict[str, str] = Field(default_factory=dict[str, str])
    """Public keys, 32 bytes base64url, by key id."""
    answers: tuple[DeviceReply, ...] = ()
    """The newest reply to each executed command, oldest command first, without `hello`."""

    @property
    def held(self) -> tuple[HeldBundle, ...]:
        """Return all complete bundles."""
        return self.others if self.active is None else (*self.others, self.active)

    def find(self, bundle_sha256: str) -> HeldBundle | None:
        """Return the complete bundle with this SHA-256, or None."""
        return next((bundle for bundle in self.held if bundle.bundle_sha256 == bundle_sha256), None)

    def answer_to(self, command_id: str) -> DeviceReply | None:
        """Return the newest reply to an executed command, or None."""
        return next((answer for answer in self.answers if answer.command_id == command_id), None)

    def remembering(self, answer: DeviceReply) -> "Memory":
        """Return a copy with this as the newest reply to its command."""
        bare = answer.model_copy(update={"hello": None})
        others = tuple(kept for kept in self.answers if kept.command_id != answer.command_id)
        return self.model_copy(update={"answers": (*others, bare)[-ANSWERS_KEPT:]})

    def running(self, bundle: HeldBundle | None, at_ms: float) -> "Memory":
        """Return a copy with this bundle active, None for the idle show; the previous one becomes the newest other."""
        others = tuple(kept for kept in self.held if bundle is None or kept != bundle)
        changed = self.model_copy(update={"active": bundle, "others": others, "active_since_ms": at_ms})
        return changed.fitted()

    def fitted(self) -> "Memory":
        """Return a copy without the oldest bundles that have no slot."""
        slots = 2 if self.active is None else 1
        return self.model_copy(update={"others": self.others[-slots:]})
