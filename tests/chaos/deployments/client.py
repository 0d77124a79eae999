"""The connections of one run: requests, events, queries of the database, and waiting."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from nats.aio.client import Client
from nats.errors import Error as NatsError

from k1_contracts.descriptors import B, Q, Query, R, StreamMessage
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DeploymentView, GetDeployment
from k1_platform.nats.dead_letters.queue import DeadLetter, list_dead_letters
from k1_platform.nats.streams.publisher import make_message
from k1_platform.postgres.pool import DATABASE_ERRORS, Pool
from tests.support.bus import request

PATIENCE_S: Final = 300.0


@dataclass(frozen=True)
class ChaosClient:
    """Connections that are restored when a server returns."""

    nats: Client
    pool: Pool

    async def request(self, query: Query[Q, R], body: Q) -> Any:
        """Send a request until a service responds; return the result, or the error of a refusal."""
        return await request(self.nats, query, body, within_s=PATIENCE_S)

    async def publish(self, message: StreamMessage[B], body: B) -> None:
        """Publish an event until the stream confirms it."""
        outgoing = make_message(message, body, source="chaos")

        async def unconfirmed() -> str | None:
            try:
                await self.nats.jetstream().publish(
                    outgoing.subject,
                    outgoing.body,
                    headers=outgoing.headers,
                    stream=outgoing.stream,
                    timeout=2,
                )
            except (NatsError, OSError) as error:
                return repr(error)
            return None

        await self.wait_for(unconfirmed, f"{outgoing.subject} is confirmed")

    async def wait_for(self, missing: Callable[[], Awaitable[str | None]], what: str) -> None:
        """Wait until `missing` returns None; until then it returns what is missing.

        Errors of the database and of the broker count as missing, because servers are killed meanwhile.
        """
        deadline, seen = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            try:
                seen = await missing()
            except (*DATABASE_ERRORS, NatsError) as error:
                seen = repr(error)
            if seen is None:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never: {what}; {seen}")

    async def view(self, deployment_id: str) -> DeploymentView:
        """Return the record of a deployment."""
        query = GetDeployment(deployment_id=deployment_id)
        return await self.request(DEPLOYMENT_GET, query)

    async def deployment(self, deployment_id: str) -> asyncpg.Record | None:
        """Return the `status` of a deployment and whether it is `closed`; None if there is none."""
        query = "SELECT status, closed FROM deploy.deployments WHERE id = $1"
        return await self.pool.fetchrow(query, deployment_id)

    async def expected_bundles(self, device_ids: Sequence[str]) -> dict[str, str | None]:
        """Return the hash of the bundle that each device should run."""
        query = "SELECT id, expected_sha256 FROM deploy.devices WHERE id = ANY($1::text[])"
        return {row["id"]: row["expected_sha256"] for row in await self.pool.fetch(query, device_ids)}

    async def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters of all durables."""
        return await list_dead_letters(self.nats.jetstream(timeout=60))
