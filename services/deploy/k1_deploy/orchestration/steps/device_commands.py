"""Sends commands to one device with deadlines and retries, for the saga's steps and the reconciler.

A retry repeats the command with the same id, so it has no second effect. After a reply that may differ next time
(`busy`, for example), a new round sends a command with a new id.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.device_link import (
    Activate,
    Deactivate,
    DeviceCommand,
    DeviceHello,
    DeviceReply,
    Discard,
    Info,
    RunningBundle,
    Verb,
)
from k1_deploy.devices.device_link.link import DeviceLink
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.orchestration.storage.bundle_locations import BundleLocation, BundleLocator
from k1_deploy.saga.reply_checks import (
    RETRYABLE_CODES,
    check_done,
    check_restored,
    check_staged,
    holds,
    running_sha256,
)
from k1_platform.processes.backoff import BackoffSchedule

REPLY_TIMEOUT_S: Final = 2.5
"""For a command that a device carries out at once."""
MAX_TRIES: Final = 3
RESEND_S: Final = 10.0
"""After this time without a reply, a device that fetches a bundle gets the command again."""
MAX_SILENCE_S: Final = 15.0
"""How long a device may be unreachable while it fetches; it may reconnect and continue."""
STAGE_TIMEOUT_S: Final = 60.0
MIN_BYTES_PER_S: Final = 20_000.0
"""The slowest accepted transfer; its time is added to STAGE_TIMEOUT_S."""
BeginRound = Callable[[int], Awaitable[str]]
"""Writes the intent of a round (from 0) and returns the id of its command."""
Progress = Callable[[DeviceReply], None]
RETRY_BACKOFF: Final = BackoffSchedule(first_s=0.2, max_s=3.0, jitter=(0.5, 1.0))
"""The jitter spreads the commands to many devices."""
C = TypeVar("C", bound=DeviceCommand)


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of commands; `fence` is called before each and raises when this process may not act any more."""

    deployment_id: str | None
    fence: Callable[[], int]

    def stamp(self, command: C) -> C:
        """Return the command with the deployment and the current fence."""
        return command.model_copy(update={"deployment_id": self.deployment_id, "fence": self.fence()})


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command: `problem` is None when the device confirms the expected state."""

    problem: str | None
    hello: DeviceHello | None


@dataclass(frozen=True, slots=True)
class DeviceCommands:
    """Sends commands and retries them. Each method raises DeviceUnreachable when the device does not reply."""

    link: DeviceLink
    locator: BundleLocator
    rng: Random

    async def info(self, device_id: str, sender: Sender) -> DeviceHello | None:
        """Return the device's hello now. Each call has a new command id, because a repeated one gets the old reply."""
        reply = await self._send(device_id, "info", Info(command_id=new_id("evt")), sender)
        return reply.hello if check_done(reply) is None else None

    async def discard(self, device_id: str, sha256: str, command_id: str, sender: Sender) -> DeviceReply:
        """Delete a bundle."""
        return await self._send(
            device_id, "discard", Discard(command_id=command_id, bundle_sha256=sha256), sender
        )

    async def stage(
        self,
        device_id: str,
        location: BundleLocation,
        sender: Sender,
        begin: BeginRound,
        on_progress: Progress,
    ) -> CommandResult:
        """Make the device fetch and verify a bundle."""

        async def once(command_id: str) -> DeviceReply:
            return await self._stage_once(device_id, location, command_id, sender, on_progress)

        reply = await self._run_rounds(begin, once)
        return CommandResult(check_staged(reply, location.bundle.bundle_sha256), reply.hello)

    async def restore(
        self,
        device_id: str,
        before: RunningBundle | None,
        leave: str | None,
        sender: Sender,
        begin: BeginRound,
    ) -> CommandResult:
        """Make the device run its previous bundle again; stage and activate that bundle if the device lacks it."""
        target = before.bundle_sha256 if before else None

        async def once(command_id: str) -> DeviceReply:
            command = Deactivate(command_id=command_id, restore=target, bundle_sha256=leave)
            return await self._send(device_id, "deactivate", command, sender)

        reply = await self._run_rounds(begin, once)
        done = CommandResult(check_done(reply) or check_restored(reply.hello, before), reply.hello)
        if done.problem is None or before is None:
            return done
        hello = reply.hello or await self.info(device_id, sender)
        if running_sha256(hello) == before.bundle_sha256:
            return CommandResult(None, hello)
        return done if holds(hello, before.bundle_sha256) else await self.redeploy(device_id, before, sender)

    async def redeploy(self, device_id: str, bundle: RunningBundle, sender: Sender) -> CommandResult:
        """Stage and activate a bundle that was deployed before."""
        location = await self.locator.find(bundle.bundle_sha256)
        if location is None:
            return CommandResult(
                f"bundle {bundle.bundle_sha256[:12]} is neither on the device nor known here", None
            )

        async def begin(_round: int) -> str:
            return new_id("evt")

        fetched = await self.stage(device_id, location, sender, begin, lambda _: None)
        if fetched.problem:
            return fetched
        command = Activate(command_id=new_id("evt"), bundle_sha256=bundle.bundle_sha256)
        reply = await self._send(device_id, "activate", command, sender)
        return CommandResult(check_done(reply) or check_restored(reply.hello, bundle), reply.hello)

    async def _run_rounds(
        self, begin: BeginRound, once: Callable[[str], Awaitable[DeviceReply]]
    ) -> DeviceReply:
        round_ = 0
        while True:
            reply = await once(await begin(round_))
            round_ += 1
            if reply.code not in RETRYABLE_CODES or round_ == MAX_TRIES:
                return reply
            await asyncio.sleep(RETRY_BACKOFF.pause_s(round_, self.rng))

    async def _send(self, device_id: str, verb: Verb, command: DeviceCommand, sender: Sender) -> DeviceReply:
        attempt = 0
        while True:
            try:
                return await self.link.call(device_id, verb, sender.stamp(command), timeout_s=REPLY_TIMEOUT_S)
            except DeviceUnreachable:
                attempt += 1
                if attempt == MAX_TRIES:
                    raise
            await asyncio.sleep(RETRY_BACKOFF.pause_s(attempt, self.rng))

    async def _stage_once(
        self, device_id: str, location: BundleLocation, command_id: str, sender: Sender, on_progress: Progress
    ) -> DeviceReply:
        deadline = time.monotonic() + STAGE_TIMEOUT_S + location.size / MIN_BYTES_PER_S
        last_reply_at, attempt = time.monotonic(), 0

        def progress(reply: DeviceReply) -> None:
            nonlocal last_reply_at
            last_reply_at = time.monotonic()
            on_progress(reply)

        while True:
            command = sender.stamp(self.locator.stage(location, command_id))
            try:
                return await self.link.call(
                    device_id, "stage", command, timeout_s=RESEND_S, on_progress=progress
                )
            except DeviceUnreachable:
                now, attempt = time.monotonic(), attempt + 1
                if now > deadline or now - last_reply_at > MAX_SILENCE_S:
                    raise
            await asyncio.sleep(RETRY_BACKOFF.pause_s(attempt, self.rng))
