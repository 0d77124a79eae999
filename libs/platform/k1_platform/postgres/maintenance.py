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
Measure = Callable[[Connection], Awaitable[None]]


class Maintenance:
    """Updates the gauges; `run` is background work of the service."""

    def __init__(
        self,
        pool: Pool,
        schema: str,
        registry: CollectorRegistry,
        status_gauge: Gauge,
        count: CountByStatus,
        *,
        measure: Measure | None = None,
    ) -> None:
        """`status_gauge`: a gauge with the label `status`; `measure` sets further gauges of the service."""
        self._pool = pool
        self._schema = schema
        self._status_gauge = status_gauge
        self._count = count
        self._measure_more = measure
        self._outbox = Gauge(f"k1_{schema}_outbox_events", "Events not published yet", registry=registry)
        self._outbox_age = Gauge(
            f"k1_{schema}_outbox_age_seconds", "Age of the oldest event not published yet", registry=registry
        )
        self._database = Gauge("k1_postgres_database_bytes", "Size of the database", registry=registry)
        used = Gauge("k1_postgres_pool_used", "Connections of the pool that are in use", registry=registry)
        used.set_function(lambda: pool.get_size() - pool.get_idle_size())
        Gauge("k1_postgres_pool_limit", "Connections that the pool may open", registry=registry).set(
            pool.get_max_size()
        )

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
        (outbox,) = await connection.fetch(
            f"""
            SELECT count(*) AS waiting, pg_database_size(current_database()) AS size, coalesce(
                extract(epoch FROM now() - (
                    SELECT (headers ->> 'ce-time')::timestamptz FROM {self._schema}.outbox ORDER BY id LIMIT 1
                )), 0) AS age_s
            FROM {self._schema}.outbox
            """  # noqa: S608  the schema is a constant of the code
        )
        for status, number in counted.items():
            self._status_gauge.labels(status=status).set(number)
        self._outbox.set(outbox["waiting"])
        self._outbox_age.set(max(0.0, float(outbox["age_s"])))
        self._database.set(outbox["size"])
        if self._measure_more is not None:
            await self._measure_more(connection)
