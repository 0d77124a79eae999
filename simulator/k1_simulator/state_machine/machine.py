"""Decides what a device does with each command; pure, without connection, disk or clock."""

import json
from typing import Final, cast

from pydantic import ValidationError

from k1_contracts.messages.deploy.device_link import (
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
from k1_simulator.profile import Profile
from k1_simulator.state_machine.activation_commands import activate, activated, deactivate
from k1_simulator.state_machine.bundle_commands import (
    discard,
    progressed,
    stage,
    transfer_failed,
    transferred,
    trust,
)
from k1_simulator.state_machine.memory import Memory
from k1_simulator.state_machine.pending_work import disarm
from k1_simulator.state_machine.transition import Effect, FlashChanged, SendReply, StartTransfer, Transition

_ID_MAX: Final = 80


class Machine:
    """Holds the state of one device between two starts; each method returns the effects to carry out, in order.

    `memory` has already changed by then. Save it first, so that no reply is sent that a restart would forget.
    """

    def __init__(self, profile: Profile, memory: Memory) -> None:
        self.profile = profile
        self.memory = memory

    def hello(self) -> DeviceHello:
        """Return the description and the bundles of the device."""
        memory = self.memory
        return DeviceHello(
            id=memory.device_id,
            model=self.profile.model,
            firmware=self.profile.firmware,
            hardware=self.profile.hardware,
            node_types=list(self.profile.node_types),
            flash_free_bytes=self.profile.slot_bytes,
            active=RunningBundle(**memory.active.model_dump(exclude={"size", "duration_ms"}))
            if memory.active
            else None,
            staged=[bundle.bundle_sha256 for bundle in memory.others],
            fetching=memory.job.command.bundle_sha256 if memory.job else None,
            key_ids=sorted(memory.trusted),
        )

    def booted(self, now_ms: float) -> list[Effect]:
        """Handle a start: the clock and the show start again, an armed activation is lost, a transfer continues."""
        transition = Transition(self.memory)
        since_ms = now_ms if transition.memory.active else None
        transition.change(boots=transition.memory.boots + 1, active_since_ms=since_ms)
        disarm(transition, "the device started anew before the moment came")
        if transition.memory.job:
            transition.effects.append(StartTransfer(transition.memory.job.command))
        return self._end(transition)

    def receive(self, verb: Verb, body: bytes, now_ms: float) -> list[Effect]:
        """Handle a command; `now_ms` is on the device clock."""
        transition = Transition(self.memory)
        try:
            command = COMMANDS[verb].model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            transition.refuse(verb, command_id_of(body), "invalid_command", f"{where}: {first['msg']}")
        else:
            _check_and_execute(transition, verb, command, now_ms, self.profile.slot_bytes)
        return self._end(transition, command_id_of(body))

    def progressed(self, received_bytes: int) -> list[Effect]:
        """Handle the progress of the transfer."""
        transition = Transition(self.memory)
        progressed(transition, received_bytes)
        return self._end(transition)

    def transferred(self, duration_ms: float | None = None) -> list[Effect]:
        """Handle the end of the transfer: the bundle is complete and verified, its song takes `duration_ms`."""
        transition, job = Transition(self.memory), self.memory.job
        transferred(transition, duration_ms)
        return self._end(transition, *(job.waiting if job else ()))

    def transfer_failed(self, code: ReplyCode, message: str) -> list[Effect]:
        """Handle a failed transfer."""
        transition = Transition(self.memory)
        transfer_failed(transition, code, message)
        return self._end(transition)

    def activated(self, at_ms: float) -> list[Effect]:
        """Handle the start of the armed bundle."""
        transition, armed = Transition(self.memory), self.memory.armed
        activated(transition, at_ms)
        return self._end(transition, *([armed.command_id] if armed else []))

    def activation_failed(self, message: str) -> list[Effect]:
        """Handle a failed activation; the previous bundle still runs."""
        transition = Transition(self.memory)
        disarm(transition, message)
        return self._end(transition)

    def _end(self, transition: Transition, *command_ids: str) -> list[Effect]:
        before, self.memory = self.memory, transition.memory
        effects = [self._with_hello(effect) for effect in transition.effects]
        if (before.active, before.others) == (transition.memory.active, transition.memory.others):
            return effects
        return [FlashChanged(command_ids), *effects]

    def _with_hello(self, effect: Effect) -> Effect:
        """Add the hello, which describes the state after the command, to a final reply."""
        if not isinstance(effect, SendReply):
            return effect
        reply = effect.reply
        if reply.status not in FINAL_STATUSES or reply.verb == "ping":
            return effect
        return SendReply(reply.model_copy(update={"hello": self.hello()}))


def command_id_of(body: bytes) -> str:
    """Return the id in a command that may be invalid, or an empty string."""
    try:
        command: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = cast("dict[str, object]", command).get("command_id") if isinstance(command, dict) else None
    return found[:_ID_MAX] if isinstance(found, str) else ""


def _check_and_execute(
    transition: Transition, verb: Verb, command: DeviceCommand, now_ms: float, slot_bytes: int
) -> None:
    """Repeat the reply to a known command, refuse one that is stale or late, and execute any other."""
    memory = transition.memory
    stale = 0 < command.fence < memory.fence
    transition.change(fence=max(memory.fence, command.fence))
    known = memory.answer_to(command.command_id)
    if known and known.verb == verb:
        transition.effects.append(SendReply(known))
    elif known:
        message = f"this id was a {known.verb}; every command has an id of its own"
        transition.refuse(verb, command.command_id, "invalid_command", message)
    elif stale:
        message = f"fence {command.fence} is lower than {memory.fence}: another process leads now"
        transition.refuse(verb, command.command_id, "stale_fence", message)
    # Negated, so that a deadline of NaN has passed as well.
    elif command.deadline_ms is not None and not now_ms <= command.deadline_ms:
        message = f"it is {now_ms:.0f} on this device's clock, the deadline was {command.deadline_ms:.0f}"
        transition.refuse(verb, command.command_id, "deadline_passed", message)
    else:
        _execute(transition, verb, command, now_ms, slot_bytes)


def _execute(
    transition: Transition, verb: Verb, command: DeviceCommand, now_ms: float, slot_bytes: int
) -> None:
    match command:
        case Stage():
            stage(transition, command, slot_bytes)
        case Activate():
            activate(transition, command, now_ms)
        case Deactivate():
            deactivate(transition, command, now_ms)
        case Discard():
            discard(transition, command)
        case Trust():
            trust(transition, command)
        case _ if verb == "ping":
            transition.reply_unrecorded(verb, command.command_id, received_ms=now_ms, replied_ms=now_ms)
        case _:
            transition.reply_unrecorded(verb, command.command_id)


def parse_verb(verb_name: str) -> Verb | None:
    """Return the verb with this name, or None."""
    return verb_name if verb_name in COMMANDS else None
