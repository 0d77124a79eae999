"""One step of a device: its memory as it will be, and what is to be done, in order."""

from dataclasses import dataclass, field
from typing import Any

from k1_contracts.devices import DeviceReply, ReplyCode, ReplyStatus, Stage, Verb
from k1_simulator.memory import Memory


@dataclass(frozen=True, slots=True)
class Answer:
    """Say this; over NATS the first answer to a command goes to its reply subject."""

    reply: DeviceReply


@dataclass(frozen=True, slots=True)
class StartTransfer:
    """Fetch and check this bundle, in place of any transfer that runs."""

    command: Stage


@dataclass(frozen=True, slots=True)
class StopTransfer:
    """Leave the transfer that runs."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Tell the machine when this moment of the device clock has come, in place of any other."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """The moment is of no interest any more."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Other bundles are in the slots, or another one runs, by these commands; it has happened already."""

    command_ids: tuple[str, ...]


Effect = Answer | StartTransfer | StopTransfer | Arm | Disarm | Changed


@dataclass(slots=True)
class Turn:
    """What one event makes of a device; `memory` is saved before the effects are carried out."""

    memory: Memory
    effects: list[Effect] = field(default_factory=list[Effect])

    def change(self, **fields: Any) -> None:
        """Another memory with these fields."""
        self.memory = self.memory.model_copy(update=fields)

    def answer(self, verb: Verb, command_id: str, status: ReplyStatus, **fields: Any) -> None:
        """Answer a command that was begun; the answer is remembered."""
        reply = self._reply(verb, command_id, status, fields)
        self.memory = self.memory.remembering(reply)
        self.effects.append(Answer(reply))

    def tell(self, verb: Verb, command_id: str, **fields: Any) -> None:
        """Answer what changes nothing, so that it is answered anew when it comes again."""
        self.effects.append(Answer(self._reply(verb, command_id, "done", fields)))

    def refuse(self, verb: Verb, command_id: str, code: ReplyCode, message: str) -> None:
        """Nothing was begun, so nothing is remembered: the same command may come again and is judged anew."""
        fields = {"code": code, "message": message[:500]}
        self.effects.append(Answer(self._reply(verb, command_id, "refused", fields)))

    def fail(self, verb: Verb, command_id: str, code: ReplyCode, message: str) -> None:
        """A command that was begun has failed."""
        self.answer(verb, command_id, "failed", code=code, message=message[:500])

    def _reply(self, verb: Verb, command_id: str, status: ReplyStatus, fields: dict[str, Any]) -> DeviceReply:
        return DeviceReply(
            device_id=self.memory.device_id, verb=verb, command_id=command_id, status=status, **fields
        )
