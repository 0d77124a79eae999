"""What a device does with what it hears, pure: no connection, no disk, no clock of its own."""

import json
from typing import Final, cast

from pydantic import ValidationError

from k1_contracts.devices import (
    COMMANDS,
    FINAL_STATUSES,
    Activate,
    Deactivate,
    DeviceCommand,
    DeviceHello,
    Discard,
    ReplyCode,
    RunningBundle,
    Stage,
    Trust,
    Verb,
)
from k1_simulator.holding import discard, progressed, stage, transfer_failed, transferred, trust
from k1_simulator.memory import Memory
from k1_simulator.playing import activate, activated, deactivate
from k1_simulator.profile import Profile
from k1_simulator.turn import Answer, Changed, Effect, StartTransfer, Turn
from k1_simulator.underway import disarm

_ID_MAX: Final = 80


class Machine:
    """One device between a start and the next; every method gives the effects to carry out, in order.

    `memory` has changed by then: save it first, so that nothing is answered that a restart would forget.
    """

    def __init__(self, profile: Profile, memory: Memory) -> None:
        self.profile = profile
        self.memory = memory

    def hello(self) -> DeviceHello:
        """What the device is and holds."""
        memory = self.memory
        return DeviceHello(
            id=memory.device_id,
            model=self.profile.model,
            firmware=self.profile.firmware,
            hardware=self.profile.hardware,
            node_types=list(self.profile.node_types),
            flash_free_bytes=self.profile.slot_bytes,
            active=RunningBundle(**memory.active.model_dump(exclude={"size"})) if memory.active else None,
            staged=[bundle.bundle_sha256 for bundle in memory.others],
            fetching=memory.job.command.bundle_sha256 if memory.job else None,
            key_ids=sorted(memory.trusted),
        )

    def booted(self) -> list[Effect]:
        """After a start: the clock began anew, so what was armed is lost; a transfer goes on where it was."""
        turn = Turn(self.memory)
        turn.change(boots=turn.memory.boots + 1, active_since_ms=None)
        disarm(turn, "the device started anew before the moment came")
        if turn.memory.job:
            turn.effects.append(StartTransfer(turn.memory.job.command))
        return self._end(turn)

    def receive(self, verb: Verb, body: bytes, now_ms: float) -> list[Effect]:
        """A command came; `now_ms` by the device clock."""
        turn = Turn(self.memory)
        try:
            command = COMMANDS[verb].model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            turn.refuse(verb, command_id_of(body), "invalid_command", f"{where}: {first['msg']}")
        else:
            _judge(turn, verb, command, now_ms, self.profile.slot_bytes)
        return self._end(turn, command_id_of(body))

    def progressed(self, received_bytes: int) -> list[Effect]:
        """So much of the bundle has come."""
        turn = Turn(self.memory)
        progressed(turn, received_bytes)
        return self._end(turn)

    def transferred(self) -> list[Effect]:
        """The bundle that was to be staged is whole and checked."""
        turn, job = Turn(self.memory), self.memory.job
        transferred(turn)
        return self._end(turn, *(job.waiting if job else ()))

    def transfer_failed(self, code: ReplyCode, message: str) -> list[Effect]:
        """It could not be had, or is not what it should be."""
        turn = Turn(self.memory)
        transfer_failed(turn, code, message)
        return self._end(turn)

    def activated(self, at_ms: float) -> list[Effect]:
        """The moment of the armed bundle came, and it runs."""
        turn, armed = Turn(self.memory), self.memory.armed
        activated(turn, at_ms)
        return self._end(turn, *([armed.command_id] if armed else []))

    def activation_failed(self, message: str) -> list[Effect]:
        """The moment came, and the bundle does not run; what ran before still does."""
        turn = Turn(self.memory)
        disarm(turn, message)
        return self._end(turn)

    def _end(self, turn: Turn, *command_ids: str) -> list[Effect]:
        before, self.memory = self.memory, turn.memory
        effects = [self._with_hello(effect) for effect in turn.effects]
        if (before.active, before.others) == (turn.memory.active, turn.memory.others):
            return effects
        return [Changed(command_ids), *effects]

    def _with_hello(self, effect: Effect) -> Effect:
        """Final answers say what the device holds once all is done."""
        if not isinstance(effect, Answer):
            return effect
        reply = effect.reply
        if reply.status not in FINAL_STATUSES or reply.verb == "ping":
            return effect
        return Answer(reply.model_copy(update={"hello": self.hello()}))


def command_id_of(body: bytes) -> str:
    """The id in a command that may be broken; empty where there is none."""
    try:
        command: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = cast("dict[str, object]", command).get("command_id") if isinstance(command, dict) else None
    return found[:_ID_MAX] if isinstance(found, str) else ""


def _judge(turn: Turn, verb: Verb, command: DeviceCommand, now_ms: float, slot_bytes: int) -> None:
    """Again what was begun already; no to an older commander or after the deadline; else do it."""
    memory = turn.memory
    stale = 0 < command.fence < memory.fence
    turn.change(fence=max(memory.fence, command.fence))
    known = memory.answer_to(command.command_id)
    if known and known.verb == verb:
        turn.effects.append(Answer(known))
    elif known:
        message = f"this id was a {known.verb}; every command has an id of its own"
        turn.refuse(verb, command.command_id, "invalid_command", message)
    elif stale:
        message = f"fence {command.fence} is lower than {memory.fence}: another process leads now"
        turn.refuse(verb, command.command_id, "stale_fence", message)
    # Turned around, so that a deadline that is no number has passed as well.
    elif command.deadline_ms is not None and not now_ms <= command.deadline_ms:
        message = f"it is {now_ms:.0f} on this device's clock, the deadline was {command.deadline_ms:.0f}"
        turn.refuse(verb, command.command_id, "deadline_passed", message)
    else:
        _obey(turn, verb, command, now_ms, slot_bytes)


def _obey(turn: Turn, verb: Verb, command: DeviceCommand, now_ms: float, slot_bytes: int) -> None:
    match command:
        case Stage():
            stage(turn, command, slot_bytes)
        case Activate():
            activate(turn, command, now_ms)
        case Deactivate():
            deactivate(turn, command, now_ms)
        case Discard():
            discard(turn, command)
        case Trust():
            trust(turn, command)
        case _ if verb == "ping":
            turn.tell(verb, command.command_id, received_ms=now_ms, replied_ms=now_ms)
        case _:
            turn.tell(verb, command.command_id)


def as_verb(word: str) -> Verb | None:
    """The verb of this name, if there is one."""
    return word if word in COMMANDS else None
