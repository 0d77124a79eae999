"""A device from one start to its end: connection, commands, timers."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from k1_contracts import subjects
from k1_contracts.devices import Activate, DeviceError, DeviceReply, Verb
from k1_platform.tasks import end_tasks
from k1_simulator.clock import DeviceClock
from k1_simulator.connection import Connection
from k1_simulator.disk import DeviceDisk
from k1_simulator.fault_box import CommandFault, FaultBox
from k1_simulator.faults import (
    ActivateError,
    CrashAfterActivate,
    LieSuccess,
    Mute,
    NoSpace,
    Offline,
    Reject,
    Slow,
)
from k1_simulator.journal import Activation, Holding
from k1_simulator.link import Open
from k1_simulator.machine import Machine, as_verb, command_id_of
from k1_simulator.show import Show
from k1_simulator.transferring import Transfers
from k1_simulator.turn import Answer, Arm, Changed, Disarm, Effect, StartTransfer, StopTransfer
from k1_simulator.world import World

_log = logging.getLogger(__name__)
_CANCEL_AGAIN_S: Final = 0.5
_BOOKKEEPING_AFTER_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a device outlives its restarts."""

    open_link: Open
    disk: DeviceDisk
    faults: FaultBox
    world: World
    crash: Callable[[float], None]
    """End this life without a word and begin the next so many seconds later."""


class Life:
    """One run of a device's program."""

    def __init__(self, parts: Parts, machine: Machine, rng: random.Random) -> None:
        self.machine = machine
        self.comes_late = False
        """A fault keeps it away at first."""
        self._id = machine.memory.device_id
        self._parts = parts
        self._clock = DeviceClock.drawn(rng, time.monotonic())
        self._show = Show(machine, self._clock, parts.faults, rng)
        self.connection = Connection(
            self._id, parts.open_link, parts.world, rng, hello=lambda: machine.hello().to_json()
        )
        self.transfers = Transfers(
            parts.world, parts.disk, machine, parts.faults, rng, self.connection.ask_chunk, self._apply
        )
        self._muted: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_effects: list[Effect] = []
        self._over = False
        """From here on nothing has an effect: the flash may belong to the next life."""

    def start(self) -> None:
        """Boot; the connection comes by itself, and `connection.online` tells when."""
        self._first_effects = self.machine.booted()
        self._save()
        self._tell_holding(())
        late = self._parts.faults.take(Offline, lambda fault: fault.step == "start")
        self.comes_late = late is not None
        self.connection.allow_after(late.for_s if late else 0.0)
        self._spawn(self.connection.stay(self._heard, self._greeted))
        habits = self._parts.world.habits
        if habits.telemetry:
            self._spawn(self._show.report(self._send_telemetry, habits.readings_a_message))

    async def end(self, *, bye: bool) -> None:
        """Stop all; with `bye` in good order, else as a power cut does."""
        self._over = True
        self._show.disarm()
        self.transfers.stop()
        self.connection.begin_end()
        while self._tasks:
            await end_tasks(self._tasks, _CANCEL_AGAIN_S)
            await asyncio.sleep(0)  # they leave the set in a turn of their own
        await self.connection.end(bye=bye)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _greeted(self) -> None:
        """What the start had to say comes after the first hello."""
        effects, self._first_effects = self._first_effects, []
        await self._apply(effects)

    async def _send_telemetry(self, body: bytes) -> None:
        await self.connection.say(subjects.telemetry(self._id), body)

    async def _heard(self, word: str, body: bytes, reply_to: str | None) -> None:
        if word == subjects.DEVICE_ERROR_VERB:
            self._note_error(body)
            return
        verb = as_verb(word)
        if verb is None:
            _log.warning("unknown command", extra={"device": self._id, "verb": word})
            return
        try:
            fault = self._parts.faults.on_command(verb)
            if fault is None:
                await self._obey(verb, body, reply_to)
            else:
                self._parts.world.journal.note(self._id, "fault", f"{fault.fault} at {verb}")
                await self._fail_on_purpose(fault, verb, body, reply_to)
        except Exception:  # noqa: BLE001  a command that fails here must not end the device
            _log.exception("command not handled", extra={"device": self._id, "verb": verb})

    def _note_error(self, body: bytes) -> None:
        """Note what the services found wrong with a message of this device."""
        try:
            error = DeviceError.model_validate_json(body)
        except ValidationError:
            _log.warning("unreadable error", extra={"device": self._id})
            return
        _log.warning(
            "message refused", extra={"device": self._id, "code": error.code, "reason": error.message}
        )
        self._parts.world.journal.note(self._id, "error", f"{error.subject}: {error.message}")

    async def _obey(self, verb: Verb, body: bytes, reply_to: str | None, *, mute: bool = False) -> None:
        if self._over:
            return
        command_id = command_id_of(body)
        if mute:
            self._muted.add(command_id)
        else:
            self._muted.discard(command_id)
        effects = self.machine.receive(verb, body, self._clock.show(time.monotonic()))
        if verb == "deactivate":
            self._show.changed_back()
        await self._apply(effects, reply_to, command_id)

    async def _fail_on_purpose(
        self, fault: CommandFault, verb: Verb, body: bytes, reply_to: str | None
    ) -> None:
        match fault:
            case Offline():
                self._spawn(self._lose_connection(fault))
                if fault.after_s > 0:
                    await self._obey(verb, body, reply_to)
            case Slow():
                self.transfers.bytes_per_s = fault.bytes_per_s
                self._spawn(self._obey_late(fault.for_s, verb, body, reply_to))
            case Mute():
                await self._obey(verb, body, reply_to, mute=True)
            case Reject() | NoSpace():
                code = "no_space" if isinstance(fault, NoSpace) else fault.code
                await self._pretend(verb, body, reply_to, status="refused", code=code, message="on request")
            case LieSuccess():
                now_ms = self._clock.show(time.monotonic())
                at_ms = now_ms if verb in {"activate", "deactivate"} else None
                await self._pretend(verb, body, reply_to, status="done", at_ms=at_ms)

    async def _lose_connection(self, fault: Offline) -> None:
        await asyncio.sleep(fault.after_s)
        if not self._parts.faults.over:
            await self.connection.cut(fault.for_s)

    async def _obey_late(self, seconds: float, verb: Verb, body: bytes, reply_to: str | None) -> None:
        await asyncio.sleep(seconds)
        await self._obey(verb, body, reply_to)

    async def _pretend(self, verb: Verb, body: bytes, reply_to: str | None, **fields: Any) -> None:
        """An answer to a command that was not obeyed."""
        reply = DeviceReply(
            command_id=command_id_of(body),
            device_id=self._id,
            verb=verb,
            hello=self.machine.hello(),
            **fields,
        )
        await self._answer(reply, reply_to)

    def _save(self) -> None:
        self._parts.disk.save(self.machine.memory)

    async def _apply(
        self, effects: list[Effect], reply_to: str | None = None, command_id: str | None = None
    ) -> None:
        if self._over:
            return
        self._save()
        for effect in effects:
            if self._over:  # an answer takes its time
                return
            match effect:
                case Answer(reply):
                    # A reply subject takes one answer, the first to its own command.
                    await self._answer(reply, reply_to if reply.command_id == command_id else None)
                case StartTransfer(command):
                    self.transfers.start(command)
                case StopTransfer():
                    self.transfers.stop()
                case Arm(at_ms):
                    self._show.arm(at_ms, self._moment)
                case Disarm():
                    self._show.disarm()
                case Changed(command_ids):
                    self._tell_holding(command_ids)

    def _tell_holding(self, command_ids: tuple[str, ...]) -> None:
        memory = self.machine.memory
        active = memory.active.bundle_sha256 if memory.active else None
        others = tuple(bundle.bundle_sha256 for bundle in memory.others)
        self._parts.world.journal.holds(Holding(self._id, active, others, command_ids))

    async def _answer(self, reply: DeviceReply, reply_to: str | None) -> None:
        if reply.command_id in self._muted:
            return
        self._parts.world.journal.note(self._id, f"{reply.verb} {reply.status}", reply.message)
        await self.connection.say(reply_to or subjects.device(self._id, "reply"), reply.to_json())

    def _moment(self) -> None:
        """The armed bundle runs from here on.

        All that takes time comes later: other devices of this process have their moment now too.
        """
        moment = self.machine.memory.armed, time.monotonic(), time.time()
        asyncio.get_running_loop().call_later(_BOOKKEEPING_AFTER_S, self._after_moment, *moment)

    def _after_moment(self, armed: Activate | None, monotonic_s: float, unix_s: float) -> None:
        if not self._over:
            self._spawn(self._runs(armed, monotonic_s, unix_s))

    async def _runs(self, armed: Activate | None, monotonic_s: float, unix_s: float) -> None:
        if armed is None or self.machine.memory.armed != armed:
            return  # taken back or replaced meanwhile
        if self._parts.faults.take(ActivateError):
            await self._apply(self.machine.activation_failed("the show engine did not start"))
            return
        at_ms = self._clock.show(monotonic_s)
        self._record(armed, at_ms, monotonic_s, unix_s)
        crash = self._parts.faults.take(CrashAfterActivate)
        if crash and crash.comes_back == "old":
            self._parts.crash(crash.for_s)
            return
        effects = self.machine.activated(at_ms)
        self._show.began()
        if crash:
            await self._apply([effect for effect in effects if isinstance(effect, Changed)])
            self._parts.crash(crash.for_s)
        else:
            await self._apply(effects)

    def _record(self, armed: Activate, at_ms: float, monotonic_s: float, unix_s: float) -> None:
        activation = Activation(
            device_id=self._id,
            command_id=armed.command_id,
            bundle_sha256=armed.bundle_sha256,
            wanted_ms=armed.at_ms,
            at_ms=at_ms,
            monotonic_s=monotonic_s,
            unix_s=unix_s,
        )
        self._parts.world.journal.activations.append(activation)
