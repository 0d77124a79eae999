"""Fake devices for tests of whole deployments: the device link in memory, with a fault for each step.

They implement the protocol (fences, repeated commands, A/B bundles, separate clocks), fetch from the store and check
the hash. The simulator implements signatures and manifests.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from k1_contracts import subjects
from k1_contracts.messages.deploy.device_link import (
    COMMANDS,
    Activate,
    Deactivate,
    DeviceCommand,
    DeviceHello,
    DeviceReply,
    Discard,
    RunningBundle,
    Stage,
    Trust,
    Verb,
)
from services.deploy.tests.scripted_device import hello as make_hello
from tests.support.bus import flush

KEY_ID = "0" * 16
Fault = Literal[
    "refuse_stage",
    "mute_stage",
    "activate_error",
    "crash_old",
    "crash_new",
    "lie",
    "offline_at_rollback",
    "slow_stage",
    "ignore_activate",
    "refuse_discard",
]


@dataclass(eq=False)
class FakeDevice:
    """One fake K1."""

    client: Client
    http: httpx.AsyncClient
    id: str
    active: RunningBundle | None
    faults: set[Fault] = field(default_factory=set)
    staged: dict[str, RunningBundle] = field(default_factory=dict)
    key_ids: list[str] = field(default_factory=lambda: [KEY_ID])
    needs_key: str = KEY_ID
    """The key of the bundles that it is sent."""
    fence: int = 0
    unix: Callable[[], float] = time.time
    """The true time; the device's clock starts at another time."""
    epoch: float = field(default_factory=lambda: time.time() - 1000 * (hash(time.time()) % 1000))
    commands: list[tuple[Verb, DeviceCommand]] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    """What really happened, with the ids of the commands that caused it."""
    activated_at: list[float] = field(default_factory=list)
    """Unix time of each change to another bundle."""
    discarded_at: list[float] = field(default_factory=list)
    """Unix time of each bundle that was deleted."""
    activates_immediately: bool = True
    """Activates as soon as it is armed; for tests that do not wait for the moment."""
    let_stage: asyncio.Event = field(default_factory=asyncio.Event)
    _fetching: set[str] = field(default_factory=set[str])
    _newest: dict[str, DeviceReply] = field(default_factory=dict)
    _arming: asyncio.Task[None] | None = None
    _subscription: Subscription | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def online(self) -> bool:
        return self._subscription is not None

    def clock_ms(self, unix: float | None = None) -> float:
        return ((self.unix() if unix is None else unix) - self.epoch) * 1000

    def hello(self) -> DeviceHello:
        return make_hello(
            self.id,
            active=self.active,
            staged=list(self.staged),
            fetching=next(iter(self._fetching), None),
            key_ids=self.key_ids,
        )

    def runs(self, sha256: str) -> bool:
        return self.active is not None and self.active.bundle_sha256 == sha256

    async def connect(self) -> None:
        self._subscription = await self.client.subscribe(
            subjects.command(self.id, ">"), cb=self._handle_command
        )
        await flush(self.client)
        await self.say_hello()

    async def say_hello(self) -> None:
        await self.client.publish(subjects.device(self.id, "hello"), self.hello().to_json())

    async def disconnect(self) -> None:
        if self._subscription:
            with suppress(Exception):
                await self._subscription.unsubscribe()
            await flush(self.client)
        self._subscription = None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.disconnect()

    async def _handle_command(self, message: Msg) -> None:
        task = asyncio.create_task(self._handle(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, message: Msg) -> None:
        verb: Any = message.subject.split(".")[2]
        if verb == subjects.DEVICE_ERROR_VERB:
            return
        command = COMMANDS[verb].model_validate_json(message.data)
        self.commands.append((verb, command))
        say = _Replier(self, message.reply, verb, command)
        if command.fence and command.fence < self.fence:
            await say("refused", code="stale_fence")
            return
        self.fence = max(self.fence, command.fence)
        if command.command_id in self._newest and verb not in {"info", "ping"}:
            await say.again(self._newest[command.command_id])
            return
        await getattr(self, f"_{verb}")(say, command)

    async def _ping(self, say: "_Replier", _command: DeviceCommand) -> None:
        now = self.clock_ms()
        await say("done", received_ms=now, replied_ms=self.clock_ms())

    async def _info(self, say: "_Replier", _command: DeviceCommand) -> None:
        await say("done", hello=self.hello())

    async def _trust(self, say: "_Replier", command: Trust) -> None:
        self.key_ids = [key["kid"] for key in json.loads(command.keys_document)["keys"]]
        await say("done", hello=self.hello())

    async def _stage(self, say: "_Replier", command: Stage) -> None:
        if "mute_stage" in self.faults:
            return
        await say("accepted")
        if "refuse_stage" in self.faults:
            await say("failed", code="no_space", message="the flash is full", hello=self.hello())
            return
        if self.needs_key not in self.key_ids:
            await say("failed", code="unknown_key", hello=self.hello())
            return
        self._fetching.add(command.bundle_sha256)
        if "slow_stage" in self.faults:
            await self.let_stage.wait()
        content = (await self.http.get(command.url)).content
        await say("progress", received_bytes=len(content))
        if command.bundle_sha256 not in self._fetching:
            await say("failed", code="fetch_failed", message="discarded on its way", hello=self.hello())
            return
        self._fetching.discard(command.bundle_sha256)
        if hashlib.sha256(content).hexdigest() != command.bundle_sha256:
            await say("failed", code="hash_mismatch", hello=self.hello())
            return
        if not self.runs(command.bundle_sha256):
            self.staged[command.bundle_sha256] = RunningBundle(
                bundle_sha256=command.bundle_sha256, track_id=command.track_id, version=command.version
            )
        self.effects.append(f"stage {command.command_id}")
        await say("done", hello=self.hello())

    async def _activate(self, say: "_Replier", command: Activate) -> None:
        if "ignore_activate" in self.faults:
            return
        if self.runs(command.bundle_sha256):
            await say("done", at_ms=self.clock_ms(), hello=self.hello())
            return
        if command.bundle_sha256 not in self.staged:
            await say("refused", code="not_staged", hello=self.hello())
            return
        await say("accepted")
        self._disarm()
        self._arming = asyncio.create_task(self._at_the_moment(say, command))
        self._tasks.add(self._arming)

    async def _at_the_moment(self, say: "_Replier", command: Activate) -> None:
        if command.at_ms is not None and not self.activates_immediately:
            while (left_ms := command.at_ms - self.clock_ms()) > 0:
                await asyncio.sleep(min(left_ms / 1000, 0.01))
        if "activate_error" in self.faults:
            await say("failed", code="activate_failed", message="no LEDs", hello=self.hello())
            return
        at = self.clock_ms()
        if "lie" not in self.faults and "crash_old" not in self.faults:
            self._swap(command.bundle_sha256, f"activate {command.command_id}")
        if self.faults & {"crash_old", "crash_new"}:
            await self.disconnect()
            return
        claimed = {"active": {"bundle_sha256": command.bundle_sha256}} if "lie" in self.faults else {}
        await say("done", at_ms=at, hello=make_hello(self.id, **claimed) if claimed else self.hello())

    async def _deactivate(self, say: "_Replier", command: Deactivate) -> None:
        self._disarm()
        current = self.active.bundle_sha256 if self.active else None
        if command.restore is not None and command.restore not in {current, *self.staged}:
            await say("refused", code="unknown_bundle", hello=self.hello())
            return
        if current != command.restore:
            self._swap(command.restore, f"deactivate {command.command_id}")
        await say("done", hello=self.hello())

    async def _discard(self, say: "_Replier", command: Discard) -> None:
        if self.runs(command.bundle_sha256):
            await say("refused", code="still_active", hello=self.hello())
            return
        if "refuse_discard" in self.faults:
            await say("refused", code="busy", hello=self.hello())
            return
        self._disarm()
        self._fetching.discard(command.bundle_sha256)
        if self.staged.pop(command.bundle_sha256, None):
            self.effects.append(f"discard {command.command_id}")
            self.discarded_at.append(self.unix())
        await say("done", hello=self.hello())

    def _disarm(self) -> None:
        if self._arming:
            self._arming.cancel()
        self._arming = None

    def _swap(self, sha256: str | None, effect: str) -> None:
        before = self.active
        self.active = self.staged.pop(sha256) if sha256 else None
        if before:
            self.staged[before.bundle_sha256] = before
        self.effects.append(effect)
        self.activated_at.append(self.unix())

    def remember(self, reply: DeviceReply) -> None:
        self._newest[reply.command_id] = reply


@dataclass
class _Replier:
    """Sends the first reply to the reply subject, later ones to `device.<id>.reply`."""

    device: FakeDevice
    inbox: str
    verb: Verb
    command: DeviceCommand
    first: bool = True

    async def __call__(self, status: str, **fields: Any) -> None:
        reply = DeviceReply.model_validate(
            {
                "command_id": self.command.command_id,
                "device_id": self.device.id,
                "verb": self.verb,
                "status": status,
                **fields,
            }
        )
        self.device.remember(reply)
        await self.again(reply)

    async def again(self, reply: DeviceReply) -> None:
        if not self.device.online:
            return
        subject = self.inbox if self.first else subjects.device(self.device.id, "reply")
        self.first = False
        if self.verb == "deactivate" and "offline_at_rollback" in self.device.faults:
            return
        await self.device.client.publish(subject, reply.to_json())
