"""Updates the database gauges of a service at intervals, and deletes old inbox entries."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn

from prometheus_client import CollectorRegistry, Gauge

from k1_platform.postgres.inbox import prune_inbox
from k1_platform.postgres.pool import DATABASE_ERRORS, Connection, Pool

_INTERVAL_S: Final = 10.0
_ROUNDS_BETWEEN_PRUNINGS: Final = 360
_INBOX_DAYS: Final = 30
"""Twice the maximum age of the messages on the stream of events."""
_log = logging.getLogger(__name__)

CountByStatus = Callable[[Connection], Awaitable[Mapping[Any, int]]]
"""Returns how many tracks, jobs or deployments the service has in each status."""


class Maintenance:
    """Updates the gauges; `run` is background work of the service."""

    def __init__(
        self, pool: Pool, schema: str, registry: CollectorRegistry, status_gauge: Gauge, count: CountByStatus
    ) -> None:
        """`status_gauge`: a gauge with the label `status`."""
        self._pool = pool
        self._schema = schema
        self._status_gauge = status_gauge
        self._count = count
        self._outbox = Gauge(f"k1_{schema}_outbox_events", "Events not published yet", registry=registry)

    async def run(self) -> NoReturn:
        """Run until cancelled. While the database does not respond, the gauges keep their values."""
        rounds = 0
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await self._measure(connection)
                    if rounds % _ROUNDS_BETWEEN_PRUNINGS == 0:
                        await prune_inbox(connection, self._schema, _INBOX_DAYS)
            except DATABASE_ERRORS as error:
                _log.warning("gauges not measured", extra={"reason": repr(error)})
            rounds += 1
            await asyncio.sleep(_INTERVAL_S)

    async def _measure(self, connection: Connection) -> None:
        counted = await self._count(connection)
        query = f"SELECT count(*) AS waiting FROM {self._schema}.outbox"  # noqa: S608  a constant of the code
        (outbox,) = await connection.fetch(query)
        for status, number in counted.items():
            self._status_gauge.labels(status=status).set(number)
        self._outbox.set(outbox["waiting"])
