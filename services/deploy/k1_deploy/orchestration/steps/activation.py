"""Activates the devices of a batch at one moment: measures their clocks, agrees on the moment, arms each device.

The moment is the same for the whole batch and is logged with the intents, so that a process which takes over knows it.
A device that is not armed in time has failed, and its compensation disarms it; the others continue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Tracer

from k1_contracts.base import rfc3339
from k1_contracts.messages.deploy.deployments import ActivateAt, ActivateOnDownbeat
from k1_contracts.messages.deploy.device_link import Activate, DeviceHello, DeviceReply
from k1_deploy.devices.device_link.clock import to_device_ms, to_unix_ms
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.orchestration.events.event_log import EventLog, WriteConflictError
from k1_deploy.orchestration.steps.device_commands import DeviceCommands, Sender
from k1_deploy.saga.downbeats import NoDownbeatError, next_downbeat
from k1_deploy.saga.entries import CheckFailed, Intent, LogEntry, Outcome, command_id, truncate_to_ms
from k1_deploy.saga.reply_checks import check_done, check_runs
from k1_deploy.saga.steps import ActivateBatch

LEAD_S: Final = 1.0
LEAD_PER_DEVICE_S: Final = 0.003
"""Time from the agreement to the moment: enough to send the commands of the batch twice."""
ARMED_BEFORE_S: Final = 0.05
"""A device that is not armed this long before the moment has failed."""
RESEND_S: Final = 0.4
REPORT_S: Final = 2.0
"""How long after the moment a device may take to report its activation."""
Downbeats = Callable[[ActivateOnDownbeat], Awaitable[Sequence[float]]]
"""Returns the downbeats of a song, in ms from its beginning."""


@dataclass(frozen=True, slots=True)
class BatchActivation:
    """Activates the batches of one deployment."""

    event_log: EventLog
    commands: DeviceCommands
    sender: Sender
    downbeats: Downbeats
    tracer: Tracer
    clock: Callable[[], datetime]

    async def run(self, step: ActivateBatch) -> None:
        """Return when every device of the batch has an outcome or is back in its state before the intent.

        Raises:
            WriteConflictError: other entries were written first; no new command was sent.
            LeaseLostError: another process runs the deployment.
        """
        offsets = await self._measure([*step.fresh, *step.armed])
        await asyncio.gather(*(self._resume(each, offsets[each]) for each in step.armed))
        ready = [each for each in step.fresh if not isinstance(offsets[each], str)]
        failed: list[LogEntry] = [
            CheckFailed(at=self.clock(), device_id=each, reason=problem)
            for each in step.fresh
            if isinstance(problem := offsets[each], str)
        ]
        try:
            moment = await self._agree_moment(len(ready))
        except NoDownbeatError as error:
            await self._write(
                *(CheckFailed(at=self.clock(), device_id=each, reason=str(error)) for each in step.fresh)
            )
            return
        intents = [self._intent(each, moment) for each in ready]
        await self.event_log.write(*failed, *intents)  # nothing is sent unless they are in the log
        await asyncio.gather(*(self._activate(each, offsets[each.device_id]) for each in intents))

    async def _measure(self, device_ids: Sequence[str]) -> dict[str, float | str]:
        """Return each device's clock minus the service's in ms, or why it is unknown."""

        async def measure(device_id: str) -> float | str:
            self.sender.fence()
            try:
                return await self.commands.link.clock_offset_ms(device_id)
            except DeviceUnreachable as error:
                return f"its clock could not be measured: {error}"

        return dict(zip(device_ids, await asyncio.gather(*map(measure, device_ids)), strict=True))

    async def _agree_moment(self, count: int) -> datetime:
        """Return the earliest moment for which all can be armed: at once, at a downbeat, or at the given time."""
        earliest = self.clock() + timedelta(seconds=LEAD_S + LEAD_PER_DEVICE_S * count)
        match self.event_log.state.activation:
            case ActivateAt(at=at):
                return max(at, truncate_to_ms(earliest))
            case ActivateOnDownbeat() as song:
                return truncate_to_ms(next_downbeat(await self.downbeats(song), song.started_at, earliest))
            case _:
                return truncate_to_ms(earliest)

    def _intent(self, device_id: str, moment: datetime) -> Intent:
        state = self.event_log.state
        round_ = state.devices[device_id].activations
        return Intent(
            at=self.clock(),
            device_id=device_id,
            step="activate",
            command_id=command_id(state.deployment_id, "activate", device_id, round_),
            round=round_,
            planned_for=moment,
        )

    async def _resume(self, device_id: str, offset: float | str) -> None:
        """Continue from an intent that is already in the log."""
        intent = self.event_log.state.devices[device_id].open
        if intent is None or intent.step != "activate" or intent.planned_for is None:
            return
        if intent.planned_for - self.clock() > timedelta(seconds=ARMED_BEFORE_S):
            await self._activate(intent, offset)
            return
        await self._sleep_until(intent.planned_for + timedelta(seconds=1))
        hello, problem = await self._query_bundle(device_id)
        running = hello is not None and problem is None
        result = "done" if running else "interrupted" if hello else "failed"
        await self._record_outcome(intent, result, problem if result == "failed" else None, hello=hello)

    async def _activate(self, intent: Intent, offset: float | str) -> None:
        with self.tracer.start_as_current_span("deploy activate") as span:
            span.set_attribute("k1.device_id", intent.device_id)
            await self._arm_and_record(intent, offset)

    async def _arm_and_record(self, intent: Intent, offset: float | str) -> None:
        if isinstance(offset, str):
            await self._record_outcome(intent, "failed", offset)
            return
        try:
            reply = await self._arm(intent, offset)
        except DeviceUnreachable as error:
            await self._record_outcome(intent, "failed", f"it was not armed in time: {error}")
            return
        await self._record_reply(intent, reply, offset)

    async def _record_reply(self, intent: Intent, reply: DeviceReply | None, offset: float) -> None:
        """Write the outcome by the device's final reply, or without one by what the device runs."""
        if reply is None:
            hello, problem = await self._query_bundle(intent.device_id)
            await self._record_outcome(intent, "failed" if problem else "done", problem, hello=hello)
            return
        problem = check_done(reply)
        happened = None if problem else _moment(reply.at_ms, offset)
        await self._record_outcome(
            intent, "failed" if problem else "done", problem, happened=happened, hello=reply.hello
        )

    async def _arm(self, intent: Intent, offset: float) -> DeviceReply | None:
        """Return the final reply; None when the device was armed and then did not reply.

        Raises:
            DeviceUnreachable: the device did not confirm in time that it is armed.
        """
        moment = intent.planned_for
        assert moment is not None
        armed = asyncio.Event()
        command = self._command(intent, moment, offset)
        left = (moment - self.clock()).total_seconds()
        call = asyncio.create_task(
            self.commands.link.call(
                intent.device_id,
                "activate",
                self.sender.stamp(command),
                timeout_s=left + REPORT_S,
                on_progress=lambda _: armed.set(),
            )
        )
        try:
            await self._until_armed(intent, command, call, armed)
            return await call
        except DeviceUnreachable:
            if armed.is_set():
                return None
            raise
        finally:
            call.cancel()

    async def _until_armed(
        self, intent: Intent, command: Activate, call: "asyncio.Task[DeviceReply]", armed: asyncio.Event
    ) -> None:
        """Repeat the command until the device has confirmed or the time is over."""
        assert intent.planned_for is not None
        latest = intent.planned_for - timedelta(seconds=ARMED_BEFORE_S)
        waiting = asyncio.create_task(armed.wait())
        try:
            while True:
                left = (latest - self.clock()).total_seconds()
                await asyncio.wait(
                    {call, waiting}, timeout=min(left, RESEND_S), return_when=asyncio.FIRST_COMPLETED
                )
                if call.done() or armed.is_set():
                    return
                if self.clock() >= latest:
                    raise DeviceUnreachable(f"device {intent.device_id} did not answer activate")
                await self._send_again(intent.device_id, command)
        finally:
            waiting.cancel()

    async def _send_again(self, device_id: str, command: Activate) -> None:
        """Repeat the command; the first call gets the reply."""
        try:
            await self.commands.link.call(
                device_id, "activate", self.sender.stamp(command), timeout_s=RESEND_S, until_final=False
            )
        except DeviceUnreachable:
            return

    def _command(self, intent: Intent, moment: datetime, offset: float) -> Activate:
        bundle = self.event_log.state.bundle
        assert bundle is not None
        at_ms = to_device_ms(moment.timestamp() * 1000, offset)
        return Activate(
            command_id=intent.command_id, bundle_sha256=bundle.sha256, at_ms=at_ms, deadline_ms=at_ms
        )

    async def _query_bundle(self, device_id: str) -> tuple[DeviceHello | None, str | None]:
        """Return the device's hello, and why it does not run the new bundle."""
        bundle = self.event_log.state.bundle
        assert bundle is not None
        try:
            hello = await self.commands.info(device_id, self.sender)
        except DeviceUnreachable as error:
            return None, str(error)
        return hello, check_runs(hello, bundle.sha256)

    async def _record_outcome(
        self,
        intent: Intent,
        result: str,
        problem: str | None = None,
        *,
        happened: datetime | None = None,
        hello: DeviceHello | None = None,
    ) -> None:
        error_ms = None
        if happened and intent.planned_for and not self._ran_before(intent.device_id):
            error_ms = round((happened - intent.planned_for) / timedelta(milliseconds=1), 3)
            trace.get_current_span().set_attribute("k1.activated_at", rfc3339(happened))
        outcome = Outcome.model_validate(
            {
                "at": self.clock(),
                "device_id": intent.device_id,
                "step": "activate",
                "result": result,
                "reason": problem,
                "happened_at": truncate_to_ms(happened) if happened else None,
                "error_ms": error_ms,
            }
        )
        await self._write(outcome, hello=hello)

    def _ran_before(self, device_id: str) -> bool:
        """Return whether the device ran the same bundle before, so that nothing changes."""
        state = self.event_log.state
        before = state.devices[device_id].before
        return before is not None and state.bundle is not None and before.bundle_sha256 == state.bundle.sha256

    async def _write(self, *entries: LogEntry, hello: DeviceHello | None = None) -> None:
        """Write the outcome of one device; a conflict (its step was undone) does not stop the others."""
        try:
            await self.event_log.write(*entries, hello=hello)
        except WriteConflictError:
            return

    async def _sleep_until(self, moment: datetime) -> None:
        await asyncio.sleep(max((moment - self.clock()).total_seconds(), 0.0))


def _moment(device_ms: float | None, offset: float) -> datetime | None:
    if device_ms is None:
        return None
    try:
        return datetime.fromtimestamp(to_unix_ms(device_ms, offset) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
