"""What the active process does: read, judge, tell, acknowledge, as long as it holds the lease."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from nats.aio.msg import Msg

from k1_contracts import streams, subjects
from k1_contracts.streams import Durable
from k1_platform.broker import Bus
from k1_platform.device_errors import DeviceErrors
from k1_platform.pulling import Pulled, Puller, PullError
from k1_platform.tasks import run_together
from k1_telemetry.broker_clock import BrokerClock
from k1_telemetry.fleet import Effects, Fleet
from k1_telemetry.meters import Meters
from k1_telemetry.presence import Sight
from k1_telemetry.refusals import Refused, explain, wrong_bye
from k1_telemetry.telling import Teller

_BATCH: Final = 1000
_OPEN_S: Final = 0.1
"""How long a request for readings stays open: how late a silence may be noticed."""
_LOOK_EVERY_S: Final = 0.1
_RELEASE_HELD_EVERY_S: Final = 0.02
_MEASURE_EVERY_S: Final = 2.0
_PAUSE_S: Final = 0.25
_DEVICE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_log = logging.getLogger(__name__)

Handle = Callable[[Msg, Effects], None]


class Shift:
    """From a lease to its loss."""

    def __init__(self, bus: Bus, fleet: Fleet, teller: Teller, clock: BrokerClock, meters: Meters) -> None:
        """`clock` has been measured."""
        self._errors = DeviceErrors(bus.client)
        self._bus, self._fleet, self._teller, self._clock, self._meters = bus, fleet, teller, clock, meters
        self._sight = Sight(clock.now())
        # What is judged first is told first, whichever stream it came by.
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Ends by an exception only: LeaseLostError, or what went wrong with the broker."""
        await self._teller.refresh_presence(self._fleet, everyone=True)
        await run_together(
            self._follow(streams.TELEMETRY_SAMPLES, self._reading),
            self._follow(streams.TELEMETRY_PRESENCE, self._coming_or_going),
            _every(_LOOK_EVERY_S, self._look_around),
            _every(_RELEASE_HELD_EVERY_S, self._teller.tell_held_samples),
            _every(_MEASURE_EVERY_S, self._measure),
        )

    async def _follow(self, durable: Durable, handle: Handle) -> None:
        async with Puller(
            self._bus.client, durable.stream, durable.name, batch=_BATCH, open_s=_OPEN_S
        ) as puller:
            while True:
                try:
                    pulled = await puller.next()
                except PullError as error:
                    _log.warning("no messages", extra={"durable": durable.name, "reason": str(error)})
                    await asyncio.sleep(_PAUSE_S)
                else:
                    await self._take(pulled, handle)
                    if durable is streams.TELEMETRY_SAMPLES:
                        self._have_read(pulled)

    async def _take(self, pulled: Pulled, handle: Handle) -> None:
        async with self._turn:
            for message in pulled.messages:
                self._judge(message, handle, self._fleet.untold)
            await self._tell()
        for message in pulled.messages:
            await message.ack()
        self._meters.count(self._fleet.counts)

    def _judge(self, message: Msg, handle: Handle, effects: Effects) -> None:
        try:
            handle(message, effects)
        except Exception:  # noqa: BLE001  one message must not end the watch over all other devices
            self._meters.failures.inc()
            _log.exception("message not understood", extra={"subject": message.subject})

    def _reading(self, message: Msg, effects: Effects) -> None:
        device_id = subjects.original(message.subject).partition(".")[2]
        if not _DEVICE.match(device_id):
            self._fleet.counts.readings["malformed"] += 1
            return
        about, now = message.metadata, self._clock.now()
        self._meters.lag.observe(max((now - about.timestamp).total_seconds(), 0.0))
        again = about.num_delivered > 1
        self._fleet.take_readings(
            device_id, message.data, about.timestamp, effects, now=now, redelivered=again
        )

    def _coming_or_going(self, message: Msg, effects: Effects) -> None:
        """The subject says it all: the broker lets a device speak for itself alone; `deploy` reads the hello."""
        _, device_id, word = subjects.original(message.subject).split(".")
        at = message.metadata.timestamp
        if not _DEVICE.match(device_id):
            return
        if word == "bye":
            if wrong_bye(device_id, message.data):
                effects.refused.append(Refused(device_id, word, message.data))
            self._fleet.take_bye(device_id, at, effects)
        else:
            self._fleet.take_hello(device_id, at, effects, now=self._clock.now())

    def _have_read(self, pulled: Pulled) -> None:
        if pulled.messages:
            self._sight.reaches(max(message.metadata.timestamp for message in pulled.messages))
        if pulled.all_until_s is not None:
            self._sight.reaches(self._clock.at(pulled.all_until_s))

    async def _look_around(self) -> None:
        async with self._turn:
            self._fleet.pass_time(self._sight, self._fleet.untold)
            await self._tell()
            await self._teller.refresh_presence(self._fleet)
        self._meters.show(self._fleet)

    async def _tell(self) -> None:
        """What a shift could not tell to its end, the next one of the same fleet tells."""
        await self._teller.tell(self._fleet.untold, self._fleet)
        refused, self._fleet.untold = self._fleet.untold.refused, Effects()
        for message in refused:
            await self._errors.report(message.device_id, message.subject, partial(explain, message))

    async def _measure(self) -> None:
        try:
            await self._clock.measure()
        except Exception as error:  # noqa: BLE001  the time told before still stands
            _log.warning("the broker does not tell its time", extra={"reason": repr(error)})


async def _every(pause_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()
        await asyncio.sleep(pause_s)
