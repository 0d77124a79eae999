"""The broker's clock as seen from here, by which all times in this service are told.

Messages carry the time at which the broker stored them. To know how long ago that is, its clock is asked for
as NTP does it: of a few answers, the one that was quickest counts. Neither this machine's clock nor a
device's matters.
"""

import json
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts.streams import Durable

_KEPT: Final = 8
_TIMEOUT_S: Final = 2.0


class BrokerClock:
    """Translates `time.monotonic` to the broker's time."""

    def __init__(self, client: Client, durable: Durable) -> None:
        """`durable`: whose state is asked for; the answer tells the time."""
        self._client = client
        self._subject = f"$JS.API.CONSUMER.INFO.{durable.stream}.{durable.name}"
        self._measured: deque[tuple[float, datetime]] = deque(maxlen=_KEPT)

    async def measure(self) -> None:
        """Ask once.

        Raises:
            nats.errors.Error: no answer, or too late a one to tell much.
            KeyError: there is no such durable.
        """
        sent = time.monotonic()
        answer = await self._client.request(self._subject, b"", timeout=_TIMEOUT_S)
        received = time.monotonic()
        if received - sent > _TIMEOUT_S:  # this process may have stood still meanwhile
            raise NatsTimeoutError
        told = datetime.fromisoformat(json.loads(answer.data)["ts"])
        middle = (sent + received) / 2
        self._measured.append((received - sent, told.astimezone(UTC) - timedelta(seconds=middle)))

    def at(self, monotonic_s: float) -> datetime:
        """The broker's time then; `measure` has succeeded once."""
        _, origin = min(self._measured)
        return origin + timedelta(seconds=monotonic_s)

    def now(self) -> datetime:
        """The broker's time."""
        return self.at(time.monotonic())
