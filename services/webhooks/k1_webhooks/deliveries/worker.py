"""Tries deliveries when they are due, several at a time; any number of processes share the work."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry, Counter

from k1_platform.postgres.pool import DATABASE_ERRORS, Pool
from k1_webhooks.database import write_audit_entry
from k1_webhooks.deliveries import store
from k1_webhooks.deliveries.schedule import next_step
from k1_webhooks.deliveries.sender import Sender
from k1_webhooks.deliveries.store import DueDelivery
from k1_webhooks.endpoints.store import find_webhook, save_webhook

POLL_S: Final = 1.0
_LEASE_MARGIN_S: Final = 30.0
_ROUNDS_BETWEEN_CLEANINGS: Final = 3600
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeliveryWorker:
    """Background work of the service.

    A delivery is taken for a lease that is longer than an attempt. If the process dies, another one sends it again
    after the lease, with the same id.
    """

    pool: Pool
    sender: Sender
    timeout_s: float
    at_once: int
    keep: timedelta
    registry: CollectorRegistry
    rng: Random = field(default_factory=Random)
    attempts: Counter = field(init=False)

    def __post_init__(self) -> None:
        counter = Counter(
            "k1_webhooks_attempts", "Attempts to deliver by outcome", ["outcome"], registry=self.registry
        )
        object.__setattr__(self, "attempts", counter)

    async def run(self) -> NoReturn:
        """Run until cancelled. While the database does not respond, nothing is sent and nothing is lost."""
        rounds = 0
        while True:
            try:
                while await self.send_due():
                    pass
                if rounds % _ROUNDS_BETWEEN_CLEANINGS == 0:
                    async with self.pool.acquire() as connection:
                        await store.delete_ended(connection, self.keep)
            except DATABASE_ERRORS as error:
                _log.warning("deliveries pause", extra={"reason": repr(error)})
            rounds += 1
            await asyncio.sleep(POLL_S)

    async def send_due(self) -> int:
        """Send what is due now, at most `at_once`; return how many were tried."""
        lease = timedelta(seconds=self.timeout_s + _LEASE_MARGIN_S)
        async with self.pool.acquire() as connection:
            due = await store.take_due(connection, self.at_once, lease)
        await asyncio.gather(*map(self._send, due))
        return len(due)

    async def _send(self, delivery: DueDelivery) -> None:
        attempt = await self.sender.send(delivery)
        step = next_step(attempt, delivery.attempts + 1, self.rng)
        status = "delivered" if step.delivered else "pending" if step.pause else "failed"
        self.attempts.labels(outcome=status).inc()
        async with self.pool.acquire() as connection, connection.transaction():
            # Before the delivery, as everything that changes both does: else two attempts could wait for each other.
            webhook = await find_webhook(connection, delivery.webhook_id, lock=True) if step.disable else None
            await store.save_attempt(
                connection,
                delivery.id,
                status=status,
                pause=step.pause,
                answer=attempt.status,
                error=attempt.error,
            )
            if webhook is not None and webhook.enabled:
                changed = webhook.model_copy(update={"enabled": False, "disabled_reason": step.disable})
                await save_webhook(connection, changed)
                await store.fail_pending(connection, webhook.id, f"disabled: {step.disable}")
                await write_audit_entry(connection, webhook.id, "disabled", step.disable)
                _log.warning("webhook disabled", extra={"webhook": webhook.id, "reason": step.disable})
