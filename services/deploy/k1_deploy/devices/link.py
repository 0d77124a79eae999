"""The services' end of the device link: commands out, answers in.

A device over NATS sends its first answer to the reply subject of the command and all later ones to
`device.<id>.reply`, one over MQTT sends all there. Several processes hear the latter: an answer that nobody
here waits for is another's, or late, and is passed over. Nothing that a device sends can end a subscription; what is
no valid answer is reported to the device, by one process.
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
from k1_contracts.messages.device_link import FINAL_STATUSES, DeviceCommand, DeviceReply, Ping, Verb
from k1_deploy.devices.clock import RoundTrip, best_offset_ms
from k1_deploy.errors import DeviceUnreachable, foreign_id
from k1_platform.device_errors import DeviceErrors, Problem, read

PINGS: Final = 5
"""Round trips of one measurement of a clock."""
PING_TIMEOUT_S: Final = 2.0
MEASURED_AT_ONCE: Final = 32
"""More at a time would wait for each other in this process, and measure that."""
_JUDGES: Final = "deploy-replies"


def _unix_ms() -> float:
    return time.time() * 1000


class PingLostError(DeviceUnreachable):
    """It may have been lost on the way."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A command under way."""

    device_id: str
    verb: Verb
    command_id: str
    answers: "asyncio.Queue[tuple[DeviceReply | None, float]]" = field(default_factory=asyncio.Queue)
    """With the moment of arrival, in Unix ms; None: nobody listens."""


class DeviceLink:
    """Commands to devices; one for each process, over the process's own connection."""

    def __init__(
        self, client: Client, clock: Callable[[], float] = _unix_ms, errors: DeviceErrors | None = None
    ) -> None:
        """`clock`: ms since the epoch; `errors`: reports to devices, by default over `client`."""
        self._client = client
        self._clock = clock
        self._errors = errors or DeviceErrors(client)
        self._inbox = client.new_inbox()
        self._by_token: dict[str, _Call] = {}
        self._by_command: defaultdict[tuple[str, str], list[_Call]] = defaultdict(list)
        self._calls = 0
        self._measuring = asyncio.Semaphore(MEASURED_AT_ONCE)

    async def start(self) -> None:
        """Listen for answers for as long as the connection lives."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)
        await self._client.subscribe(subjects.DEVICE_REPLIES, cb=self._replied)
        await self._client.subscribe(subjects.DEVICE_REPLIES, queue=_JUDGES, cb=self._judge)

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
        """Send a command once and wait for its final answer, or with `until_final=False` for any.

        A device that refuses or fails has answered: that is returned. `on_progress` is told of every answer
        before the final one.

        Raises:
            DeviceUnreachable: nobody listens, or the answer does not come within `timeout_s`. The command
                may still have its effect; sending it again with the same id is safe.
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
        """The device's clock minus Unix time, in ms, by the shortest of several round trips.

        A ping that is lost is passed over, as on a radio one now and then is.

        Raises:
            DeviceUnreachable: it leaves two pings in a row unanswered, or answers with times that cannot be.
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
        """None: refused, or answered without times."""
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
        """A call that answers reach, and its reply subject."""
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
        reply, at_ms = await call.answers.get()
        if reply is None:
            raise DeviceUnreachable(f"device {call.device_id} is not connected")
        return reply, at_ms

    async def _answered(self, message: Msg) -> None:
        """On the reply subject of a command: the first answer, or the server's word that nobody listens."""
        call = self._by_token.get(message.subject.rpartition(".")[2])
        if call is None:
            return
        if (message.headers or {}).get(Header.STATUS) == NO_RESPONDERS_STATUS:
            call.answers.put_nowait((None, self._clock()))
            return
        at_ms = self._clock()
        reply = await self._valid(call.device_id, message.data)
        if reply is not None:
            await self._deliver(call.device_id, reply, at_ms)

    async def _replied(self, message: Msg) -> None:
        """On `device.<id>.reply`, which only the device of that id may publish on."""
        at_ms = self._clock()
        device_id = message.subject.split(".")[1]
        reply = read_reply(device_id, message.data)
        if isinstance(reply, DeviceReply):
            await self._deliver(device_id, reply, at_ms)

    async def _judge(self, message: Msg) -> None:
        """The same messages, each at one process only, so that the device gets one error."""
        await self._valid(message.subject.split(".")[1], message.data)

    async def _valid(self, device_id: str, data: bytes) -> DeviceReply | None:
        """Return the answer, or report what is wrong with it."""
        reply = read_reply(device_id, data)
        if isinstance(reply, DeviceReply):
            return reply
        await self._errors.report(device_id, subjects.device(device_id, "reply"), lambda: reply)
        return None

    async def _deliver(self, device_id: str, reply: DeviceReply, at_ms: float) -> None:
        for call in self._by_command.get((device_id, reply.command_id), ()):
            if call.verb == reply.verb:
                call.answers.put_nowait((reply, at_ms))
                continue
            message = f"The command {call.command_id} is {call.verb}, but the answer's verb is {reply.verb}."
            problem = Problem("unexpected_reply", f"{message} Answer with the verb of the command.", "verb")
            await self._errors.report(device_id, subjects.device(device_id, "reply"), lambda p=problem: p)


def read_reply(device_id: str, data: bytes) -> DeviceReply | Problem:
    """Return the answer of this device, or what is wrong with it."""
    reply = read(DeviceReply, data)
    if isinstance(reply, Problem):
        return reply
    if reply.device_id != device_id:
        return foreign_id(device_id, reply.device_id)
    if reply.hello and reply.hello.id != device_id:
        return foreign_id(device_id, reply.hello.id)
    return reply
