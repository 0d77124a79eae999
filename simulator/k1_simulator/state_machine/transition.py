"""Defines one transition of a device: its next memory, and the effects to carry out in order."""

from dataclasses import dataclass, field
from typing import Any

from k1_contracts.messages.deploy.device_link import DeviceReply, ReplyCode, ReplyStatus, Stage, Verb
from k1_simulator.state_machine.memory import Memory


@dataclass(frozen=True, slots=True)
class SendReply:
    """Send this reply; over NATS the first reply to a command goes to its reply subject."""

    reply: DeviceReply


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Download and verify this bundle; this replaces a current transfer."""

    command: Stage


@dataclass(frozen=True, slots=True)
class StopTransfer:
    """Stop the current transfer."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Call the machine at this time of the device clock; this replaces an earlier timer."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """Cancel the timer."""


@dataclass(frozen=True, slots=True)
class FlashChanged:
    """These commands changed the bundles in the slots or the active bundle; this has already happened."""

    command_ids: tuple[str, ...]


Effect = SendReply | StartTransfer | StopTransfer | Arm | Disarm | FlashChanged


@dataclass(slots=True)
class Transition:
    """Collects the changes that one event causes; save `memory` before carrying out the effects."""

    memory: Memory
    effects: list[Effect] = field(default_factory=list[Effect])

    def change(self, **fields: Any) -> None:
        """Replace these fields of the memory."""
        self.memory = self.memory.model_copy(update=fields)

    def reply(self, verb: Verb, command_id: str, status: ReplyStatus, **fields: Any) -> None:
        """Reply to a command that was executed, and keep the reply."""
        reply = self._reply(verb, command_id, status, fields)
        self.memory = self.memory.remembering(reply)
        self.effects.append(SendReply(reply))

    def reply_unrecorded(self, verb: Verb, command_id: str, **fields: Any) -> None:
        """Reply to a command that changes nothing, without keeping the reply, so that a repetition gets a current one."""
        self.effects.append(SendReply(self._reply(verb, command_id, "done", fields)))

    def refuse(self, verb: Verb, command_id: str, code: ReplyCode, message: str) -> None:
        """Refuse a command without keeping the reply, so that the same command can be repeated and checked again."""
        fields = {"code": code, "message": message[:500]}
        self.effects.append(SendReply(self._reply(verb, command_id, "refused", fields)))

    def fail(self, verb: Verb, command_id: str, code: ReplyCode, message: str) -> None:
        """Report the failure of a command that was started."""
        self.reply(verb, command_id, "failed", code=code, message=message[:500])

    def _reply(self, verb: Verb, command_id: str, status: ReplyStatus, fields: dict[str, Any]) -> DeviceReply:
        return DeviceReply(
            device_id=self.memory.device_id, verb=verb, command_id=command_id, status=status, **fields
        )
