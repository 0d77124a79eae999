"""Runs the steps on single devices, each from its intent to its outcome in the log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from k1_contracts.messages.deploy.device_link import DeviceHello, DeviceReply, RunningBundle
from k1_deploy.devices.device_link.trusted_keys import TrustUpdater
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.gates import blocking_reason, device_checks
from k1_deploy.orchestration.events.event_log import EventLog
from k1_deploy.orchestration.events.live_feed import LiveFeed
from k1_deploy.orchestration.steps.device_commands import BeginRound, CommandResult, DeviceCommands, Sender
from k1_deploy.orchestration.storage.bundle_locations import location_of
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import DeviceStepName, Intent, Outcome, command_id
from k1_deploy.saga.reply_checks import check_discarded, check_runs
from k1_deploy.saga.steps import DeviceStep

NO_REPLY: Final = "the device does not answer"


@dataclass(frozen=True, slots=True)
class _Result:
    """The content of the outcome."""

    problem: str | None
    hello: DeviceHello | None = None
    before: RunningBundle | None = None


@dataclass(frozen=True, slots=True)
class DeviceSteps:
    """Runs the device steps of one deployment."""

    event_log: EventLog
    commands: DeviceCommands
    live: LiveFeed
    rows: dict[str, DeviceRow]
    """The devices as they were stored when this process took the deployment."""
    clock: Callable[[], datetime]
    trust: TrustUpdater
    percents: dict[str, float] = field(default_factory=dict[str, float])
    """Progress of the transfers, in percent, by device."""

    @property
    def sender(self) -> Sender:
        return Sender(self.event_log.state.deployment_id, self._fence)

    async def run(self, step: DeviceStep) -> None:
        """Write the intent, act, write the outcome. An intent that is already in the log is not written again.

        Raises:
            WriteConflictError: other entries about the device were written first.
            LeaseLostError: another process runs the deployment.
        """
        run: dict[DeviceStepName, Callable[[DeviceStep], Awaitable[_Result]]] = {
            "check": self._check,
            "stage": self._stage,
            "verify": self._verify,
            "discard": self._discard,
            "rollback": self._rollback,
        }
        try:
            result = await run[step.step](step)
        except DeviceUnreachable as error:
            result = _Result(str(error) or NO_REPLY)
        outcome = Outcome(
            at=self.clock(),
            device_id=step.device_id,
            step=step.step,
            result="failed" if result.problem else "done",
            reason=result.problem,
            before=result.before,
        )
        await self.event_log.write(outcome, hello=result.hello)

    async def _check(self, step: DeviceStep) -> _Result:
        await self._rounds_of(step)(0)
        try:
            hello = await self.commands.info(step.device_id, self.sender)
        except DeviceUnreachable:
            hello = None
        row, info = self.rows.get(step.device_id), self.event_log.row.bundle
        assert info is not None
        if hello:
            await self.trust.ensure_trusted(hello, info.manifest.key_id)
        if row and hello:
            row = replace(row, hello=hello)
        checks = device_checks(row, hello is not None, info, self.event_log.row.request.overrides)
        return _Result(blocking_reason(checks), hello, hello.active if hello else None)

    async def _stage(self, step: DeviceStep) -> _Result:
        info = self.event_log.row.bundle
        assert info is not None

        def progress(reply: DeviceReply) -> None:
            self._progress(step.device_id, (reply.received_bytes or 0) / info.bundle.size)

        begin = self._rounds_of(step)
        done = await self.commands.stage(step.device_id, location_of(info), self.sender, begin, progress)
        self.percents.pop(step.device_id, None)
        return _Result(done.problem, done.hello)

    async def _verify(self, step: DeviceStep) -> _Result:
        await self._rounds_of(step)(0)
        hello = await self.commands.info(step.device_id, self.sender)
        return _Result(check_runs(hello, self._sha256), hello)

    async def _discard(self, step: DeviceStep) -> _Result:
        id_ = await self._rounds_of(step)(0)
        before = self._device(step).before
        if before and before.bundle_sha256 == self._sha256:
            return _Result(None)  # the device runs it
        reply = await self.commands.discard(step.device_id, self._sha256, id_, self.sender)
        return _Result(check_discarded(reply, self._sha256), reply.hello)

    async def _rollback(self, step: DeviceStep) -> _Result:
        before = self._device(step).before
        done: CommandResult = await self.commands.restore(
            step.device_id, before, self._sha256, self.sender, self._rounds_of(step)
        )
        return _Result(done.problem, done.hello)

    def _rounds_of(self, step: DeviceStep) -> BeginRound:
        open_ = self._device(step).open
        first = open_.round if step.under_way and open_ else 0

        async def begin(round_: int) -> str:
            return await self._write_intent(step, first + round_)

        return begin

    async def _write_intent(self, step: DeviceStep, round_: int) -> str:
        """Return the command id of the round once its intent is in the log."""
        open_ = self._device(step).open
        if step.under_way and open_ and (open_.step, open_.round) == (step.step, round_):
            return open_.command_id
        id_ = command_id(self.event_log.state.deployment_id, step.step, step.device_id, round_)
        intent = Intent(
            at=self.clock(), device_id=step.device_id, step=step.step, command_id=id_, round=round_
        )
        await self.event_log.write(intent)
        return id_

    def _progress(self, device_id: str, share: float) -> None:
        percent = round(min(max(share, 0.0), 1.0) * 100, 1)
        self.percents[device_id] = percent
        self.live.publish_progress(self.event_log.state, device_id, percent, self.clock())

    def _device(self, step: DeviceStep) -> Device:
        return self.event_log.state.devices[step.device_id]

    def _fence(self) -> int:
        self.event_log.lease.require()
        return self.event_log.lease.fence

    @property
    def _sha256(self) -> str:
        bundle = self.event_log.state.bundle
        assert bundle is not None
        return bundle.sha256
