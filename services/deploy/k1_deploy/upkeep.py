"""What deploy does on its own now and then: gauges, and forgetting old inbox entries."""

import asyncio
import logging
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry, Gauge

from k1_deploy.saga.state import NEXT
from k1_platform.database import DATABASE_ERRORS, Pool

_EVERY_S: Final = 10.0
_ROUNDS_BETWEEN_CLEANINGS: Final = 360
_REMEMBERED_DAYS: Final = 30
"""Twice the age that the stream of facts keeps its messages for."""
_log = logging.getLogger(__name__)


class Upkeep:
    """Keeps the gauges current; handed to the frame as background work."""

    def __init__(self, pool: Pool, registry: CollectorRegistry) -> None:
        self._pool = pool
        self._deployments = Gauge(
            "k1_deploy_deployments", "Deployments by status", ["status"], registry=registry
        )
        self._outbox = Gauge("k1_deploy_outbox_events", "Events not published yet", registry=registry)

    async def run(self) -> NoReturn:
        """Until cancelled; a database that is away leaves the gauges as they were."""
        rounds = 0
        while True:
            try:
                await self._measure()
                if rounds % _ROUNDS_BETWEEN_CLEANINGS == 0:
                    await self._forget()
            except DATABASE_ERRORS as error:
                _log.warning("gauges not measured", extra={"reason": repr(error)})
            rounds += 1
            await asyncio.sleep(_EVERY_S)

    async def _measure(self) -> None:
        async with self._pool.acquire() as connection:
            rows = await connection.fetch("SELECT status, count(*) FROM deploy.deployments GROUP BY status")
            waiting = await connection.fetchval("SELECT count(*) FROM deploy.outbox")
        counted = {row["status"]: row["count"] for row in rows}
        for status in NEXT:
            self._deployments.labels(status=status).set(counted.get(status, 0))
        self._outbox.set(waiting)

    async def _forget(self) -> None:
        await self._pool.execute(
            "DELETE FROM deploy.inbox WHERE handled_at < now() - make_interval(days => $1)", _REMEMBERED_DAYS
        )
