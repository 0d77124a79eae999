"""Commands to one device with deadlines and retries: what the saga's steps and healing are made of.

A retry repeats the command with its id, which has no second effect. A device that answered, and whose answer
may be another next time (`busy`, say), gets a new round with a new id.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from k1_contracts.ids import new_id
from k1_contracts.messages.device_link import (
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
from k1_deploy.devices.link import DeviceLink
from k1_deploy.driving.bundles import Bundles, Source
from k1_deploy.driving.retrying import backoff_s
from k1_deploy.errors import DeviceUnreachable
from k1_deploy.saga.verdicts import REPEATABLE, holds, refusal, running, runs_again, staged

ANSWER_S: Final = 2.5
"""For a command that a device carries out at once."""
TRIES: Final = 3
RESEND_S: Final = 10.0
"""A device that fetches a bundle is asked again how far it is."""
SILENCE_S: Final = 15.0
"""How long a device may be out of reach while it fetches: it may come back and go on."""
STAGE_S: Final = 60.0
SLOWEST_BYTES_S: Final = 20_000.0
"""A bundle may take a minute, and what the slowest transfer takes."""
Begin = Callable[[int], Awaitable[str]]
"""Given a round (from 0), writes its intent and returns the id of its command."""
Progress = Callable[[DeviceReply], None]
C = TypeVar("C", bound=DeviceCommand)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who commands. `fence` is asked before every command and raises when this process may not act any more."""

    deployment_id: str | None
    fence: Callable[[], int]

    def stamp(self, command: C) -> C:
        """The command as it goes out now."""
        return command.model_copy(update={"deployment_id": self.deployment_id, "fence": self.fence()})


@dataclass(frozen=True, slots=True)
class Done:
    """How it went: `problem` is None when the device bears it out that it did as it was told."""

    problem: str | None
    hello: DeviceHello | None


@dataclass(frozen=True, slots=True)
class Commands:
    """Sends, waits, tries again. Each raises DeviceUnreachable when the device does not answer at all."""

    link: DeviceLink
    bundles: Bundles
    rng: Random

    async def info(self, device_id: str, sender: Sender) -> DeviceHello | None:
        """What the device is and holds now; an id of its own, as a repeated one gets the old answer."""
        reply = await self._call(device_id, "info", Info(command_id=new_id("evt")), sender)
        return reply.hello if refusal(reply) is None else None

    async def discard(self, device_id: str, sha256: str, command_id: str, sender: Sender) -> DeviceReply:
        """Delete a bundle."""
        return await self._call(
            device_id, "discard", Discard(command_id=command_id, bundle_sha256=sha256), sender
        )

    async def stage(
        self, device_id: str, source: Source, sender: Sender, begin: Begin, on_progress: Progress
    ) -> Done:
        """Have a bundle fetched and checked."""

        async def once(command_id: str) -> DeviceReply:
            return await self._stage_once(device_id, source, command_id, sender, on_progress)

        reply = await self._rounds(begin, once)
        return Done(staged(reply, source.bundle.bundle_sha256), reply.hello)

    async def restore(
        self, device_id: str, before: RunningBundle | None, leave: str | None, sender: Sender, begin: Begin
    ) -> Done:
        """Have it run again what it ran before; where it does not hold that any more, it is sent once more."""
        target = before.bundle_sha256 if before else None

        async def once(command_id: str) -> DeviceReply:
            command = Deactivate(command_id=command_id, restore=target, bundle_sha256=leave)
            return await self._call(device_id, "deactivate", command, sender)

        reply = await self._rounds(begin, once)
        done = Done(refusal(reply) or runs_again(reply.hello, before), reply.hello)
        if done.problem is None or before is None:
            return done
        hello = reply.hello or await self.info(device_id, sender)
        if running(hello) == before.bundle_sha256:
            return Done(None, hello)
        return (
            done if holds(hello, before.bundle_sha256) else await self.send_again(device_id, before, sender)
        )

    async def send_again(self, device_id: str, bundle: RunningBundle, sender: Sender) -> Done:
        """Stage a bundle that was deployed once and run it now."""
        source = await self.bundles.find(bundle.bundle_sha256)
        if source is None:
            return Done(f"bundle {bundle.bundle_sha256[:12]} is neither on the device nor known here", None)

        async def begin(_round: int) -> str:
            return new_id("evt")

        fetched = await self.stage(device_id, source, sender, begin, lambda _: None)
        if fetched.problem:
            return fetched
        command = Activate(command_id=new_id("evt"), bundle_sha256=bundle.bundle_sha256)
        reply = await self._call(device_id, "activate", command, sender)
        return Done(refusal(reply) or runs_again(reply.hello, bundle), reply.hello)

    async def _rounds(self, begin: Begin, once: Callable[[str], Awaitable[DeviceReply]]) -> DeviceReply:
        round_ = 0
        while True:
            reply = await once(await begin(round_))
            round_ += 1
            if reply.code not in REPEATABLE or round_ == TRIES:
                return reply
            await asyncio.sleep(backoff_s(round_, self.rng))

    async def _call(self, device_id: str, verb: Verb, command: DeviceCommand, sender: Sender) -> DeviceReply:
        attempt = 0
        while True:
            try:
                return await self.link.call(device_id, verb, sender.stamp(command), timeout_s=ANSWER_S)
            except DeviceUnreachable:
                attempt += 1
                if attempt == TRIES:
                    raise
            await asyncio.sleep(backoff_s(attempt, self.rng))

    async def _stage_once(
        self, device_id: str, source: Source, command_id: str, sender: Sender, on_progress: Progress
    ) -> DeviceReply:
        deadline = time.monotonic() + STAGE_S + source.size / SLOWEST_BYTES_S
        heard, attempt = time.monotonic(), 0

        def progress(reply: DeviceReply) -> None:
            nonlocal heard
            heard = time.monotonic()
            on_progress(reply)

        while True:
            command = sender.stamp(self.bundles.stage(source, command_id))
            try:
                return await self.link.call(
                    device_id, "stage", command, timeout_s=RESEND_S, on_progress=progress
                )
            except DeviceUnreachable:
                now, attempt = time.monotonic(), attempt + 1
                if now > deadline or now - heard > SILENCE_S:
                    raise
            await asyncio.sleep(backoff_s(attempt, self.rng))
