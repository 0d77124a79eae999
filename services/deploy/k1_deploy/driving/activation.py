"""All devices of a batch change at one moment: measure their clocks, agree, arm each before it, hear from each.

The moment is agreed for the batch and logged with the intents, so that a process which takes over knows it. A
device that is not armed in time counts as failed and is disarmed by its undo; the others go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from opentelemetry.trace import Tracer

from k1_contracts.messages.deployments import ActivateAt, ActivateOnDownbeat
from k1_contracts.messages.device_link import Activate, DeviceHello, DeviceReply
from k1_deploy.devices.clock import to_device_ms, to_unix_ms
from k1_deploy.driving.commands import Commands, Sender
from k1_deploy.driving.journal import Journal, OvertakenError
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.saga.bar_line import BeyondTheEndError, next_downbeat
from k1_deploy.saga.entries import Intent, LogEntry, Outcome, Unfit, command_id, logged
from k1_deploy.saga.steps import ActivateBatch
from k1_deploy.saga.verdicts import refusal, runs_new

LEAD_S: Final = 1.0
LEAD_PER_DEVICE_S: Final = 0.003
"""From the agreement to the moment: time to arm all of the batch, also a second time."""
ARMED_BEFORE_S: Final = 0.05
"""A device that is not armed this long before the moment is left out."""
RESEND_S: Final = 0.4
REPORT_S: Final = 2.0
"""How long after the moment a device may take to say that it did."""
Downbeats = Callable[[ActivateOnDownbeat], Awaitable[Sequence[float]]]
"""The downbeats of the song that plays, in ms from its beginning."""


@dataclass(frozen=True, slots=True)
class Activation:
    """Activates the batches of one deployment."""

    journal: Journal
    commands: Commands
    sender: Sender
    downbeats: Downbeats
    tracer: Tracer
    clock: Callable[[], datetime]

    async def take(self, step: ActivateBatch) -> None:
        """Return when every device of the batch has an outcome, or is as before its intent.

        Raises:
            OvertakenError: something else was decided meanwhile; nothing new was sent.
            LeaseLostError: another process drives the deployment.
        """
        offsets = await self._measure([*step.fresh, *step.armed])
        await asyncio.gather(*(self._resume(each, offsets[each]) for each in step.armed))
        fit = [each for each in step.fresh if not isinstance(offsets[each], str)]
        unfit: list[LogEntry] = [
            Unfit(at=self.clock(), device_id=each, reason=problem)
            for each in step.fresh
            if isinstance(problem := offsets[each], str)
        ]
        try:
            moment = await self._agree(len(fit))
        except BeyondTheEndError as error:
            await self._write(
                *(Unfit(at=self.clock(), device_id=each, reason=str(error)) for each in step.fresh)
            )
            return
        intents = [self._intent(each, moment) for each in fit]
        await self.journal.write(*unfit, *intents)  # nothing is sent unless they are in the log
        await asyncio.gather(*(self._activate(each, offsets[each.device_id]) for each in intents))

    async def _measure(self, device_ids: Sequence[str]) -> dict[str, float | str]:
        """Each device's clock minus ours in ms, or why it is not known."""

        async def measure(device_id: str) -> float | str:
            self.sender.fence()
            try:
                return await self.commands.link.clock_offset_ms(device_id)
            except DeviceUnreachable as error:
                return f"its clock could not be measured: {error}"

        return dict(zip(device_ids, await asyncio.gather(*map(measure, device_ids)), strict=True))

    async def _agree(self, count: int) -> datetime:
        """The moment: as soon as all can be armed, or the next bar, or the given time when that is later."""
        earliest = self.clock() + timedelta(seconds=LEAD_S + LEAD_PER_DEVICE_S * count)
        match self.journal.state.activation:
            case ActivateAt(at=at):
                return max(at, logged(earliest))
            case ActivateOnDownbeat() as song:
                return logged(next_downbeat(await self.downbeats(song), song.started_at, earliest))
            case _:
                return logged(earliest)

    def _intent(self, device_id: str, moment: datetime) -> Intent:
        state = self.journal.state
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
        """Go on with an intent that the log held already."""
        intent = self.journal.state.devices[device_id].open
        if intent is None or intent.step != "activate" or intent.planned_for is None:
            return
        if intent.planned_for - self.clock() > timedelta(seconds=ARMED_BEFORE_S):
            await self._activate(intent, offset)
            return
        await self._sleep_until(intent.planned_for + timedelta(seconds=1))
        hello, problem = await self._look(device_id)
        running = hello is not None and problem is None
        result = "done" if running else "interrupted" if hello else "failed"
        await self._end(intent, result, problem if result == "failed" else None, hello=hello)

    async def _activate(self, intent: Intent, offset: float | str) -> None:
        with self.tracer.start_as_current_span("deploy activate") as span:
            span.set_attribute("k1.device_id", intent.device_id)
            await self._arm_and_judge(intent, offset)

    async def _arm_and_judge(self, intent: Intent, offset: float | str) -> None:
        if isinstance(offset, str):
            await self._end(intent, "failed", offset)
            return
        try:
            reply = await self._arm(intent, offset)
        except DeviceUnreachable as error:
            await self._end(intent, "failed", f"it was not armed in time: {error}")
            return
        await self._judge(intent, reply, offset)

    async def _judge(self, intent: Intent, reply: DeviceReply | None, offset: float) -> None:
        """By the device's word, or where it did not come by what the device holds."""
        if reply is None:
            hello, problem = await self._look(intent.device_id)
            await self._end(intent, "failed" if problem else "done", problem, hello=hello)
            return
        problem = refusal(reply)
        happened = None if problem else _moment(reply.at_ms, offset)
        await self._end(
            intent, "failed" if problem else "done", problem, happened=happened, hello=reply.hello
        )

    async def _arm(self, intent: Intent, offset: float) -> DeviceReply | None:
        """The final answer; None when the device was armed and then silent.

        Raises:
            DeviceUnreachable: it did not say in time that it is armed.
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
        """Send again what may have been lost, as long as there is time."""
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
        """The first call hears the answer as well."""
        try:
            await self.commands.link.call(
                device_id, "activate", self.sender.stamp(command), timeout_s=RESEND_S, until_final=False
            )
        except DeviceUnreachable:
            return

    def _command(self, intent: Intent, moment: datetime, offset: float) -> Activate:
        bundle = self.journal.state.bundle
        assert bundle is not None
        at_ms = to_device_ms(moment.timestamp() * 1000, offset)
        return Activate(
            command_id=intent.command_id, bundle_sha256=bundle.sha256, at_ms=at_ms, deadline_ms=at_ms
        )

    async def _look(self, device_id: str) -> tuple[DeviceHello | None, str | None]:
        """What the device holds, and why that is not the new bundle."""
        bundle = self.journal.state.bundle
        assert bundle is not None
        try:
            hello = await self.commands.info(device_id, self.sender)
        except DeviceUnreachable as error:
            return None, str(error)
        return hello, runs_new(hello, bundle.sha256)

    async def _end(
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
        outcome = Outcome.model_validate(
            {
                "at": self.clock(),
                "device_id": intent.device_id,
                "step": "activate",
                "result": result,
                "reason": problem,
                "happened_at": logged(happened) if happened else None,
                "error_ms": error_ms,
            }
        )
        await self._write(outcome, hello=hello)

    def _ran_before(self, device_id: str) -> bool:
        """Nothing changes on a device that runs the bundle already."""
        state = self.journal.state
        before = state.devices[device_id].before
        return before is not None and state.bundle is not None and before.bundle_sha256 == state.bundle.sha256

    async def _write(self, *entries: LogEntry, hello: DeviceHello | None = None) -> None:
        """What was overtaken for one device (it was taken back meanwhile) does not stop the others."""
        try:
            await self.journal.write(*entries, hello=hello)
        except OvertakenError:
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
