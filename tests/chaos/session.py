"""The connections of one run, and what is asked and awaited over them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import nats
from nats.aio.client import Client
from pydantic import BaseModel

from k1_contracts import streams, subjects
from k1_contracts.base import Contract
from k1_contracts.messages.deployment_queries import DeploymentView, GetDeployment
from k1_contracts.rpc import Answer
from k1_platform.broker import make_event
from k1_platform.database import DATABASE_ERRORS, Pool
from k1_platform.dead_letter_queue import DeadLetter, list_dead_letters

PATIENCE_S: Final = 300.0


@dataclass(frozen=True)
class Session:
    """They come back by themselves when a server was away."""

    client: Client
    pool: Pool

    async def ask(self, subject: str, question: BaseModel, answer: type[Any]) -> Any:
        """Ask until somebody answers; an error of the owner is returned."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(nats.errors.Error, TimeoutError, OSError):
                reply = await self.client.request(subject, question.model_dump_json().encode(), timeout=5)
                told = Answer[answer].model_validate_json(reply.data)
                if told.error is None or told.error.status < 500:
                    return told.result or told.error
            assert time.monotonic() < deadline, f"nobody answers {subject}"
            await asyncio.sleep(0.1)

    async def publish(self, subject: str, body: Contract, about: str) -> None:
        """Put a fact on the stream, again and again until that is confirmed."""
        envelope, data = make_event(subject, body, source="chaos", about=about)

        async def confirmed() -> str | None:
            try:
                await self.client.jetstream().publish(
                    subject, data, headers=envelope.headers(), stream=streams.EVENTS, timeout=2
                )
            except (nats.errors.Error, OSError) as error:
                return repr(error)
            return None

        await self.until(confirmed, f"{subject} is confirmed")

    async def until(self, condition: Callable[[], Awaitable[str | None]], what: str) -> None:
        """Wait until the condition is None; before, it says what is missing."""
        deadline, seen = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            try:
                seen = await condition()
            except (*DATABASE_ERRORS, nats.errors.Error) as error:
                seen = repr(error)
            if seen is None:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never: {what}; {seen}")

    async def view(self, deployment_id: str) -> DeploymentView:
        """The record of a deployment."""
        question = GetDeployment(deployment_id=deployment_id)
        return await self.ask(subjects.RPC_DEPLOYMENT_GET, question, DeploymentView)

    async def deployment(self, deployment_id: str) -> asyncpg.Record | None:
        """Its status, and whether it is closed."""
        query = "SELECT status, closed FROM deploy.deployments WHERE id = $1"
        return await self.pool.fetchrow(query, deployment_id)

    async def expected(self, device_ids: Sequence[str]) -> dict[str, str | None]:
        """What devices should run."""
        query = "SELECT id, expected_sha256 FROM deploy.devices WHERE id = ANY($1::text[])"
        return {row["id"]: row["expected_sha256"] for row in await self.pool.fetch(query, device_ids)}

    async def dead_letters(self) -> list[DeadLetter]:
        """Of all durables."""
        return await list_dead_letters(self.client.jetstream(timeout=60))
