"""The steps that are taken on one device, each from its intent to its outcome in the log."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from k1_contracts.messages.device_link import DeviceHello, DeviceReply, RunningBundle
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.trust import TrustKeeper
from k1_deploy.driving.bundles import source_of
from k1_deploy.driving.commands import Begin, Commands, Done, Sender
from k1_deploy.driving.journal import Journal
from k1_deploy.driving.live import LiveFeed
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.gates import blocking_reason, device_checks
from k1_deploy.saga.device import Device
from k1_deploy.saga.entries import DeviceStepName, Intent, Outcome, command_id
from k1_deploy.saga.steps import DeviceStep
from k1_deploy.saga.verdicts import discarded, runs_new

NOT_HEARD: Final = "the device does not answer"


@dataclass(frozen=True, slots=True)
class _Result:
    """What goes into the outcome."""

    problem: str | None
    hello: DeviceHello | None = None
    before: RunningBundle | None = None


@dataclass(frozen=True, slots=True)
class DeviceSteps:
    """Takes the steps of one deployment."""

    journal: Journal
    commands: Commands
    live: LiveFeed
    rows: dict[str, DeviceRow]
    """The devices as the inventory knew them when this process took the deployment."""
    clock: Callable[[], datetime]
    trust: TrustKeeper
    percents: dict[str, float] = field(default_factory=dict[str, float])
    """How far transfers are; for those who ask this process."""

    @property
    def sender(self) -> Sender:
        return Sender(self.journal.state.deployment_id, self._fence)

    async def take(self, step: DeviceStep) -> None:
        """Intent, act, outcome. An intent that the log holds already is not written again.

        Raises:
            OvertakenError: something else was decided for the device meanwhile.
            LeaseLostError: another process drives the deployment.
        """
        act: dict[DeviceStepName, Callable[[DeviceStep], Awaitable[_Result]]] = {
            "check": self._check,
            "stage": self._stage,
            "verify": self._verify,
            "discard": self._discard,
            "rollback": self._rollback,
        }
        try:
            result = await act[step.step](step)
        except DeviceUnreachable as error:
            result = _Result(str(error) or NOT_HEARD)
        outcome = Outcome(
            at=self.clock(),
            device_id=step.device_id,
            step=step.step,
            result="failed" if result.problem else "done",
            reason=result.problem,
            before=result.before,
        )
        await self.journal.write(outcome, hello=result.hello)

    async def _check(self, step: DeviceStep) -> _Result:
        await self._rounds_of(step)(0)
        try:
            hello = await self.commands.info(step.device_id, self.sender)
        except DeviceUnreachable:
            hello = None
        row, info = self.rows.get(step.device_id), self.journal.row.bundle
        assert info is not None
        if hello:
            await self.trust.prepare(hello, info.manifest.key_id)
        if row and hello:
            row = replace(row, hello=hello)
        checks = device_checks(row, hello is not None, info, self.journal.row.request.overrides)
        return _Result(blocking_reason(checks), hello, hello.active if hello else None)

    async def _stage(self, step: DeviceStep) -> _Result:
        info = self.journal.row.bundle
        assert info is not None

        def progress(reply: DeviceReply) -> None:
            self._progress(step.device_id, (reply.received_bytes or 0) / info.bundle.size)

        begin = self._rounds_of(step)
        done = await self.commands.stage(step.device_id, source_of(info), self.sender, begin, progress)
        self.percents.pop(step.device_id, None)
        return _Result(done.problem, done.hello)

    async def _verify(self, step: DeviceStep) -> _Result:
        await self._rounds_of(step)(0)
        hello = await self.commands.info(step.device_id, self.sender)
        return _Result(runs_new(hello, self._sha256), hello)

    async def _discard(self, step: DeviceStep) -> _Result:
        id_ = await self._rounds_of(step)(0)
        before = self._device(step).before
        if before and before.bundle_sha256 == self._sha256:
            return _Result(None)  # it is what the device runs
        reply = await self.commands.discard(step.device_id, self._sha256, id_, self.sender)
        return _Result(discarded(reply, self._sha256), reply.hello)

    async def _rollback(self, step: DeviceStep) -> _Result:
        before = self._device(step).before
        done: Done = await self.commands.restore(
            step.device_id, before, self._sha256, self.sender, self._rounds_of(step)
        )
        return _Result(done.problem, done.hello)

    def _rounds_of(self, step: DeviceStep) -> Begin:
        open_ = self._device(step).open
        first = open_.round if step.under_way and open_ else 0

        async def begin(round_: int) -> str:
            return await self._begin(step, first + round_)

        return begin

    async def _begin(self, step: DeviceStep, round_: int) -> str:
        """The command id of the round once its intent is in the log, where it may stand already."""
        open_ = self._device(step).open
        if step.under_way and open_ and (open_.step, open_.round) == (step.step, round_):
            return open_.command_id
        id_ = command_id(self.journal.state.deployment_id, step.step, step.device_id, round_)
        intent = Intent(
            at=self.clock(), device_id=step.device_id, step=step.step, command_id=id_, round=round_
        )
        await self.journal.write(intent)
        return id_

    def _progress(self, device_id: str, share: float) -> None:
        percent = round(min(max(share, 0.0), 1.0) * 100, 1)
        self.percents[device_id] = percent
        self.live.progress(self.journal.state, device_id, percent, self.clock())

    def _device(self, step: DeviceStep) -> Device:
        return self.journal.state.devices[step.device_id]

    def _fence(self) -> int:
        self.journal.lease.require()
        return self.journal.lease.fence

    @property
    def _sha256(self) -> str:
        bundle = self.journal.state.bundle
        assert bundle is not None
        return bundle.sha256
