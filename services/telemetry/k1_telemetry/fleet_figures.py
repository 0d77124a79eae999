"""Collects the figures of the whole fleet, and publishes them every five seconds and at changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NoReturn

from k1_contracts.messages.fleet import (
    FLEET_DEVICES,
    FLEET_SUMMARY,
    FleetDevices,
    FleetView,
    GetFleet,
    GetFleetDevices,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryError, request
from k1_platform.nats.streams.consumers import Delivery
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool
from k1_platform.processes.tasks import is_set_within
from k1_telemetry.alarms.store import count_by_state

INTERVAL_S: Final = 5.0
_MIN_PAUSE_S: Final = 0.5
"""Changes that follow each other faster are published together."""
_log = logging.getLogger(__name__)


async def read_fleet_devices(bus: Bus) -> FleetDevices:
    """Return what `deploy` knows of the fleet; raise QueryError when it does not respond."""
    return await request(bus.broker, FLEET_DEVICES, GetFleetDevices())


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """Answers the query for the figures, and publishes them.

    The leader publishes at intervals. At a change the process that handled its event does, whichever it is.
    """

    bus: Bus
    pool: Pool
    clock: Callable[[], datetime]
    is_leader: Callable[[], bool]
    read_devices: Callable[[Bus], Awaitable[FleetDevices]] = read_fleet_devices
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def get_fleet(self, _: GetFleet) -> FleetView:
        """Return the figures of this moment."""
        devices = await self.read_devices(self.bus)
        async with self.pool.acquire() as connection:
            alarms = await count_by_state(connection)
        return FleetView(
            **devices.model_dump(),
            open_alarms=alarms["open"],
            acknowledged_alarms=alarms["acknowledged"],
            at=self.clock(),
        )

    def touch(self) -> None:
        """Publish the figures soon, because something changed."""
        self._changed.set()

    async def handle_change(self, _: Delivery[Any]) -> None:
        """Handle an event that changes a figure."""
        self.touch()

    async def run(self) -> NoReturn:
        """Publish until cancelled; figures that cannot be read are left out, because newer ones follow."""
        while True:
            changed = await is_set_within(self._changed, INTERVAL_S)
            self._changed.clear()
            if changed or self.is_leader():
                await self._publish()
            await asyncio.sleep(_MIN_PAUSE_S)

    async def _publish(self) -> None:
        try:
            view = await self.get_fleet(GetFleet())
            await self.bus.client.publish(FLEET_SUMMARY.subject, view.to_json())
        except (QueryError, *DATABASE_ERRORS) as error:
            _log.info("figures of the fleet not published", extra={"reason": str(error)})
