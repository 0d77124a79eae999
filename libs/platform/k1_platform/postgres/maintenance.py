"""What a service with a database does on its own now and then: gauges, and forgetting old inbox entries."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

from prometheus_client import CollectorRegistry, Gauge

from k1_platform.postgres.inbox import prune_inbox
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool

_EVERY_S: Final = 10.0
_ROUNDS_BETWEEN_CLEANINGS: Final = 360
_REMEMBERED_DAYS: Final = 30
"""Twice the age that the stream of facts keeps its messages for."""
_log = logging.getLogger(__name__)

CountByStatus = Callable[[Connection], Awaitable[Mapping[Any, int]]]
"""How many of the service's things there are, by the name of their status."""


class Maintenance:
    """Keeps the gauges current; handed to the frame as background work."""

    def __init__(
        self, pool: Pool, schema: str, registry: CollectorRegistry, things: Gauge, count: CountByStatus
    ) -> None:
        """`things`: a gauge with the label `status`."""
        self._pool = pool
        self._schema = schema
        self._things = things
        self._count = count
        self._outbox = Gauge(f"k1_{schema}_outbox_events", "Events not published yet", registry=registry)

    async def run(self) -> NoReturn:
        """Until cancelled; a database that is away leaves the gauges as they were."""
        rounds = 0
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._measure(connection)
                    if rounds % _ROUNDS_BETWEEN_CLEANINGS == 0:
                        await prune_inbox(connection, self._schema, _REMEMBERED_DAYS)
            except DATABASE_ERRORS as error:
                _log.warning("gauges not measured", extra={"reason": repr(error)})
            rounds += 1
            await asyncio.sleep(_EVERY_S)

    async def _measure(self, connection: Connection) -> None:
        counted = await self._count(connection)
        query = f"SELECT count(*) AS waiting FROM {self._schema}.outbox"  # noqa: S608  a constant of ours
        (outbox,) = await connection.fetch(query)
        for status, number in counted.items():
            self._things.labels(status=status).set(number)
        self._outbox.set(outbox["waiting"])
