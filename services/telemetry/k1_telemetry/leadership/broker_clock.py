"""Estimates the broker's clock for the telemetry service.

All times in this service are on the broker's clock, because each message carries the time at which the broker
stored it. The offset is measured as in NTP: of several requests, the one with the shortest round trip counts.
The clocks of this machine and of the devices do not matter.
"""

import json
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from k1_contracts.durables import Durable
from k1_platform.nats.jetstream_api import request_consumer_info

_SAMPLE_COUNT: Final = 8
_TIMEOUT_S: Final = 2.0


class BrokerClock:
    """Converts `time.monotonic` to the broker's time."""

    def __init__(self, client: Client, durable: Durable) -> None:
        """Create a clock that reads the broker's time from the state of `durable`."""
        self._client, self._durable = client, durable
        self._samples: deque[tuple[float, datetime]] = deque(maxlen=_SAMPLE_COUNT)
        self._origin: datetime
        """The broker's time at the monotonic time 0, by the fastest of these measurements."""

    async def measure(self) -> None:
        """Request the broker's time once.

        Raises:
            nats.errors.Error: the broker did not respond, or the response took too long to be useful.
            KeyError: the durable does not exist.
        """
        sent = time.monotonic()
        info = await request_consumer_info(
            self._client, self._durable.stream, self._durable.name, timeout_s=_TIMEOUT_S
        )
        received = time.monotonic()
        if received - sent > _TIMEOUT_S:  # this process may have been paused in between
            raise NatsTimeoutError
        broker_time = datetime.fromisoformat(json.loads(info)["ts"])
        midpoint = (sent + received) / 2
        self._samples.append((received - sent, broker_time.astimezone(UTC) - timedelta(seconds=midpoint)))
        _, self._origin = min(self._samples)

    def at(self, monotonic_s: float) -> datetime:
        """Return the broker's time at a monotonic time; `measure` must have succeeded once."""
        return self._origin + timedelta(seconds=monotonic_s)

    def now(self) -> datetime:
        """Return the broker's current time."""
        return self.at(time.monotonic())
