"""The services' end of the device link: sends commands to devices and receives their replies.

A device over NATS sends its first reply to the reply subject of the command and all later ones to
`device.<id>.reply`; one over MQTT sends all there. Every process receives the latter and ignores replies to commands
that it did not send. Nothing that a device sends can end a subscription; invalid replies are reported to the device by
one process.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from nats.aio.client import NO_RESPONDERS_STATUS, Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import Header

from k1_contracts import subjects
from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.device_link import (
    DEVICE_REPLY,
    FINAL_STATUSES,
    DeviceCommand,
    DeviceReply,
    Ping,
    Verb,
)
from k1_deploy.devices.device_link.clock import RoundTrip, best_offset_ms
from k1_deploy.errors import DeviceUnreachable, wrong_device_id
from k1_platform.nats.device_errors import DeviceErrors, MessageError, parse_device_message

PINGS: Final = 5
"""Round trips for one measurement of a clock."""
PING_TIMEOUT_S: Final = 2.0
MAX_CONCURRENT_MEASUREMENTS: Final = 32
"""More would wait for each other in this process and falsify the measurement."""
_VALIDATORS: Final = "deploy-replies"


def _unix_ms() -> float:
    return time.time() * 1000


class PingLostError(DeviceUnreachable):
    """A ping or its reply may have been lost."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A command in progress."""

    device_id: str
    verb: Verb
    command_id: str
    replies: "asyncio.Queue[tuple[DeviceReply | None, float]]" = field(default_factory=asyncio.Queue)
    """With the time of arrival, in Unix ms; None: no device is subscribed."""


class DeviceLink:
    """Sends commands to devices; one instance in each process, over the process's connection."""

    def __init__(
        self, client: Client, clock: Callable[[], float] = _unix_ms, errors: DeviceErrors | None = None
    ) -> None:
        """Use `clock` (Unix ms) for arrival times, and `errors` for reports to devices (by default over `client`)."""
        self._client = client
        self._clock = clock
        self._errors = errors or DeviceErrors(client)
        self._inbox = client.new_inbox()
        self._by_token: dict[str, _Call] = {}
        self._by_command: defaultdict[tuple[str, str], list[_Call]] = defaultdict(list)
        self._calls = 0
        self._measuring = asyncio.Semaphore(MAX_CONCURRENT_MEASUREMENTS)

    async def start(self) -> None:
        """Subscribe to replies for as long as the connection lives."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._handle_inbox_reply)
        await self._client.subscribe(DEVICE_REPLY.pattern, cb=self._handle_reply)
        await self._client.subscribe(DEVICE_REPLY.pattern, queue=_VALIDATORS, cb=self._report_invalid)

    async def call(
        self,
        device_id: str,
        verb: Verb,
        command: DeviceCommand,
        *,
        timeout_s: float,
        until_final: bool = True,
        on_progress: Callable[[DeviceReply], None] | None = None,
    ) -> DeviceReply:
        """Send a command once; return the final reply, or with `until_final=False` the first.

        A device that rejects or fails has replied: that reply is returned. `on_progress` gets every reply before the
        final one.

        Raises:
            DeviceUnreachable: the device is not connected, or does not reply within `timeout_s`. The command may still
                have its effect; sending it again with the same id is safe.
        """
        with self._open(device_id, verb, command) as (call, reply_to):
            try:
                async with asyncio.timeout(timeout_s):
                    await self._send(call, command, reply_to)
                    while True:
                        reply, _ = await self._next(call)
                        if reply.status in FINAL_STATUSES or not until_final:
                            return reply
                        if on_progress:
                            on_progress(reply)
            except TimeoutError:
                raise DeviceUnreachable(
                    f"device {device_id} did not answer {verb} within {timeout_s:g} s"
                ) from None

    async def clock_offset_ms(self, device_id: str) -> float:
        """Return the device's clock minus Unix time, in ms, by the shortest of several round trips.

        One lost ping is tolerated, because a radio link loses some.

        Raises:
            DeviceUnreachable: two pings in a row got no reply, or the device replies with impossible times.
        """
        trips: list[RoundTrip | None] = []
        lost = False
        async with self._measuring:
            for _ in range(PINGS):
                try:
                    trips.append(await self._ping(device_id))
                except PingLostError:
                    if lost:
                        raise
                    lost = True
                else:
                    lost = False
        offset = best_offset_ms(trip for trip in trips if trip)
        if offset is None:
            raise DeviceUnreachable(f"device {device_id} answers ping without possible times")
        return offset

    async def _ping(self, device_id: str) -> RoundTrip | None:
        """Return the round trip; None when the reply has no times."""
        command = Ping(command_id=new_id("evt"))
        with self._open(device_id, "ping", command) as (call, reply_to):
            sent_ms = self._clock()
            try:
                async with asyncio.timeout(PING_TIMEOUT_S):
                    await self._send(call, command, reply_to)
                    reply, returned_ms = await self._next(call)
            except TimeoutError:
                raise PingLostError(f"device {device_id} did not answer ping") from None
        if reply.received_ms is None or reply.replied_ms is None:
            return None
        return RoundTrip(sent_ms, reply.received_ms, reply.replied_ms, returned_ms)

    @contextmanager
    def _open(self, device_id: str, verb: Verb, command: DeviceCommand) -> Generator[tuple[_Call, str]]:
        """Register a call for replies; yield it with its reply subject."""
        self._calls += 1
        token = str(self._calls)
        call = _Call(device_id, verb, command.command_id)
        key = device_id, command.command_id
        self._by_token[token] = call
        self._by_command[key].append(call)
        try:
            yield call, f"{self._inbox}.{token}"
        finally:
            del self._by_token[token]
            self._by_command[key].remove(call)
            if not self._by_command[key]:
                del self._by_command[key]

    async def _send(self, call: _Call, command: DeviceCommand, reply_to: str) -> None:
        try:
            subject = subjects.command(call.device_id, call.verb)
            await self._client.publish(subject, command.to_json(), reply=reply_to)
        except NatsError as error:
            raise DeviceUnreachable(
                f"{call.verb} could not be sent to device {call.device_id}: {error!r}"
            ) from error

    async def _next(self, call: _Call) -> tuple[DeviceReply, float]:
        reply, at_ms = await call.replies.get()
        if reply is None:
            raise DeviceUnreachable(f"device {call.device_id} is not connected")
        return reply, at_ms

    async def _handle_inbox_reply(self, message: Msg) -> None:
        """Handle the first reply, or the server's status that no device is subscribed."""
        call = self._by_token.get(message.subject.rpartition(".")[2])
        if call is None:
            return
        if (message.headers or {}).get(Header.STATUS) == NO_RESPONDERS_STATUS:
            call.replies.put_nowait((None, self._clock()))
            return
        at_ms = self._clock()
        reply = await self._parse_or_report(call.device_id, message.data)
        if reply is not None:
            await self._deliver(call.device_id, reply, at_ms)

    async def _handle_reply(self, message: Msg) -> None:
        """Handle a reply on `device.<id>.reply`, where only the device with that id may publish."""
        at_ms = self._clock()
        device_id = message.subject.split(".")[1]
        reply = read_reply(device_id, message.data)
        if isinstance(reply, DeviceReply):
            await self._deliver(device_id, reply, at_ms)

    async def _report_invalid(self, message: Msg) -> None:
        """Report invalid replies; each message reaches one process only, so the device gets one error."""
        await self._parse_or_report(message.subject.split(".")[1], message.data)

    async def _parse_or_report(self, device_id: str, data: bytes) -> DeviceReply | None:
        """Return the reply; report an invalid one to the device and return None."""
        reply = read_reply(device_id, data)
        if isinstance(reply, DeviceReply):
            return reply
        await self._errors.report(device_id, subjects.device(device_id, "reply"), lambda: reply)
        return None

    async def _deliver(self, device_id: str, reply: DeviceReply, at_ms: float) -> None:
        for call in self._by_command.get((device_id, reply.command_id), ()):
            if call.verb == reply.verb:
                call.replies.put_nowait((reply, at_ms))
                continue
            message = f"The command {call.command_id} is {call.verb}, but the answer's verb is {reply.verb}."
            problem = MessageError(
                "unexpected_reply", f"{message} Answer with the verb of the command.", "verb"
            )
            await self._errors.report(device_id, subjects.device(device_id, "reply"), lambda p=problem: p)


def read_reply(device_id: str, data: bytes) -> DeviceReply | MessageError:
    """Return the reply of this device, or what is wrong with it."""
    reply = parse_device_message(DeviceReply, data)
    if isinstance(reply, MessageError):
        return reply
    if reply.device_id != device_id:
        return wrong_device_id(device_id, reply.device_id)
    if reply.hello and reply.hello.id != device_id:
        return wrong_device_id(device_id, reply.hello.id)
    return reply
