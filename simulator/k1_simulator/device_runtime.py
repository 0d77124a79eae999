"""Runs a device from a start to its end: connection, commands and timers."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import Activate, DeviceError, DeviceReply, Verb
from k1_contracts.messages.telemetry import DEVICE_READINGS
from k1_platform.processes.tasks import cancel_tasks
from k1_simulator.event_log import Activation, FlashContents
from k1_simulator.faults.fault_injector import CommandFault, FaultInjector
from k1_simulator.faults.models import (
    ActivateError,
    CrashAfterActivate,
    LieSuccess,
    Mute,
    NoSpace,
    Offline,
    Reject,
    Slow,
)
from k1_simulator.fleet_context import FleetContext
from k1_simulator.links.connection import Connection
from k1_simulator.links.link import OpenLink
from k1_simulator.playback.clock import DeviceClock
from k1_simulator.playback.show import Show
from k1_simulator.state_machine.machine import Machine, command_id_of, parse_verb
from k1_simulator.state_machine.transition import (
    Arm,
    Disarm,
    Effect,
    FlashChanged,
    SendReply,
    StartTransfer,
    StopTransfer,
)
from k1_simulator.transfers.disk import DeviceDisk
from k1_simulator.transfers.transfer_manager import TransferManager

_log = logging.getLogger(__name__)
_CANCEL_AGAIN_S: Final = 0.5
_BOOKKEEPING_AFTER_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class DeviceResources:
    """The parts of a device that outlive its restarts."""

    open_link: OpenLink
    disk: DeviceDisk
    faults: FaultInjector
    context: FleetContext
    crash: Callable[[float], None]
    """Stop this runtime without a bye and start the next one after this many seconds."""


class DeviceRuntime:
    """Runs a device's program once, from its start to its end."""

    def __init__(self, resources: DeviceResources, machine: Machine, rng: random.Random) -> None:
        self.machine = machine
        self.starts_late = False
        """A fault delays the first connection."""
        self._id = machine.memory.device_id
        self._resources = resources
        self._clock = DeviceClock.random_clock(rng, time.monotonic())
        self._show = Show(machine, self._clock, resources.faults, rng)
        self.connection = Connection(
            self._id, resources.open_link, resources.context, rng, hello=lambda: machine.hello().to_json()
        )
        self.transfers = TransferManager(
            resources.context,
            resources.disk,
            machine,
            resources.faults,
            rng,
            self.connection.request_chunk,
            self._apply,
        )
        self._muted: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_effects: list[Effect] = []
        self._is_ended = False
        """Nothing has an effect any more: the flash may already belong to the next runtime."""

    def start(self) -> None:
        """Boot and connect in the background; `connection.online` is set when the device is online."""
        self._first_effects = self.machine.booted(self._clock.show(time.monotonic()))
        self._save()
        self._record_flash(())
        late = self._resources.faults.take(Offline, lambda fault: fault.step == "start")
        self.starts_late = late is not None
        self.connection.allow_after(late.for_s if late else 0.0)
        self._spawn(self.connection.run(self._handle_command, self._on_connected))
        behaviour = self._resources.context.behaviour
        if behaviour.telemetry:
            self._spawn(self._show.report(self._send_telemetry, behaviour.readings_a_message))

    async def end(self, *, bye: bool) -> None:
        """Stop everything; say bye if `bye` is set, else stop like a power cut."""
        self._is_ended = True
        self._show.disarm()
        self.transfers.stop()
        self.connection.reject_new_sessions()
        while self._tasks:
            await cancel_tasks(self._tasks, _CANCEL_AGAIN_S)
            await asyncio.sleep(0)  # their callbacks remove them from the set
        await self.connection.end(bye=bye)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_connected(self) -> None:
        """Carry out the effects of the boot after the first hello."""
        effects, self._first_effects = self._first_effects, []
        await self._apply(effects)

    async def _send_telemetry(self, body: bytes) -> None:
        await self.connection.publish(DEVICE_READINGS.subject_for(self._id), body)

    async def _handle_command(self, verb_name: str, body: bytes, reply_to: str | None) -> None:
        if verb_name == subjects.DEVICE_ERROR_VERB:
            self._record_error(body)
            return
        verb = parse_verb(verb_name)
        if verb is None:
            _log.warning("unknown command", extra={"device": self._id, "verb": verb_name})
            return
        try:
            fault = self._resources.faults.on_command(verb)
            if fault is None:
                await self._execute(verb, body, reply_to)
            else:
                self._resources.context.event_log.record(self._id, "fault", f"{fault.fault} at {verb}")
                await self._inject(fault, verb, body, reply_to)
        except Exception:  # noqa: BLE001  a command that fails here must not end the device
            _log.exception("cannot handle a command", extra={"device": self._id, "verb": verb})

    def _record_error(self, body: bytes) -> None:
        """Record what the services found wrong with a message of this device."""
        try:
            error = DeviceError.model_validate_json(body)
        except ValidationError:
            _log.warning("cannot read an error message", extra={"device": self._id})
            return
        _log.warning(
            "a service rejected a message",
            extra={"device": self._id, "code": error.code, "reason": error.message},
        )
        self._resources.context.event_log.record(self._id, "error", f"{error.subject}: {error.message}")

    async def _execute(self, verb: Verb, body: bytes, reply_to: str | None, *, mute: bool = False) -> None:
        if self._is_ended:
            return
        command_id = command_id_of(body)
        if mute:
            self._muted.add(command_id)
        else:
            self._muted.discard(command_id)
        effects = self.machine.receive(verb, body, self._clock.show(time.monotonic()))
        if verb == "deactivate":
            self._show.end_activation_faults()
        await self._apply(effects, reply_to, command_id)

    async def _inject(self, fault: CommandFault, verb: Verb, body: bytes, reply_to: str | None) -> None:
        match fault:
            case Offline():
                self._spawn(self._lose_connection(fault))
                if fault.after_s > 0:
                    await self._execute(verb, body, reply_to)
            case Slow():
                self.transfers.bytes_per_s = fault.bytes_per_s
                self._spawn(self._execute_late(fault.for_s, verb, body, reply_to))
            case Mute():
                await self._execute(verb, body, reply_to, mute=True)
            case Reject() | NoSpace():
                code = "no_space" if isinstance(fault, NoSpace) else fault.code
                await self._reply_falsely(
                    verb, body, reply_to, status="refused", code=code, message="on request"
                )
            case LieSuccess():
                now_ms = self._clock.show(time.monotonic())
                at_ms = now_ms if verb in {"activate", "deactivate"} else None
                await self._reply_falsely(verb, body, reply_to, status="done", at_ms=at_ms)

    async def _lose_connection(self, fault: Offline) -> None:
        await asyncio.sleep(fault.after_s)
        if not self._resources.faults.over:
            await self.connection.cut(fault.for_s)

    async def _execute_late(self, seconds: float, verb: Verb, body: bytes, reply_to: str | None) -> None:
        await asyncio.sleep(seconds)
        await self._execute(verb, body, reply_to)

    async def _reply_falsely(self, verb: Verb, body: bytes, reply_to: str | None, **fields: Any) -> None:
        """Reply to a command without executing it."""
        reply = DeviceReply(
            command_id=command_id_of(body),
            device_id=self._id,
            verb=verb,
            hello=self.machine.hello(),
            **fields,
        )
        await self._answer(reply, reply_to)

    def _save(self) -> None:
        self._resources.disk.save(self.machine.memory)

    async def _apply(
        self, effects: list[Effect], reply_to: str | None = None, command_id: str | None = None
    ) -> None:
        if self._is_ended:
            return
        self._save()
        for effect in effects:
            if self._is_ended:  # sending a reply takes time
                return
            match effect:
                case SendReply(reply):
                    # A reply subject takes one reply, the first to its own command.
                    await self._answer(reply, reply_to if reply.command_id == command_id else None)
                case StartTransfer(command):
                    self.transfers.start(command)
                case StopTransfer():
                    self.transfers.stop()
                case Arm(at_ms):
                    self._show.arm(at_ms, self._on_activation_time)
                case Disarm():
                    self._show.disarm()
                case FlashChanged(command_ids):
                    self._record_flash(command_ids)

    def _record_flash(self, command_ids: tuple[str, ...]) -> None:
        memory = self.machine.memory
        active = memory.active.bundle_sha256 if memory.active else None
        others = tuple(bundle.bundle_sha256 for bundle in memory.others)
        self._resources.context.event_log.record_flash(FlashContents(self._id, active, others, command_ids))

    async def _answer(self, reply: DeviceReply, reply_to: str | None) -> None:
        if reply.command_id in self._muted:
            return
        self._resources.context.event_log.record(self._id, f"{reply.verb} {reply.status}", reply.message)
        await self.connection.publish(reply_to or subjects.device(self._id, "reply"), reply.to_json())

    def _on_activation_time(self) -> None:
        """Start the armed bundle at its activation time.

        Slow work is postponed, because other devices of this process may have the same activation time.
        """
        moment = self.machine.memory.armed, time.monotonic(), time.time()
        asyncio.get_running_loop().call_later(_BOOKKEEPING_AFTER_S, self._start_activation, *moment)

    def _start_activation(self, armed: Activate | None, monotonic_s: float, unix_s: float) -> None:
        if not self._is_ended:
            self._spawn(self._activate(armed, monotonic_s, unix_s))

    async def _activate(self, armed: Activate | None, monotonic_s: float, unix_s: float) -> None:
        if armed is None or self.machine.memory.armed != armed:
            return  # cancelled or replaced in the meantime
        if self._resources.faults.take(ActivateError):
            await self._apply(self.machine.activation_failed("the show engine did not start"))
            return
        at_ms = self._clock.show(monotonic_s)
        self._record(armed, at_ms, monotonic_s, unix_s)
        crash = self._resources.faults.take(CrashAfterActivate)
        if crash and crash.comes_back == "old":
            self._resources.crash(crash.for_s)
            return
        effects = self.machine.activated(at_ms)
        self._show.start_activation_faults()
        if crash:
            await self._apply([effect for effect in effects if isinstance(effect, FlashChanged)])
            self._resources.crash(crash.for_s)
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
        self._resources.context.event_log.activations.append(activation)
