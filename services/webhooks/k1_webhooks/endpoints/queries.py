"""Answers the queries about webhooks and their deliveries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from k1_contracts.ids import new_id
from k1_contracts.messages.webhooks import (
    CreateWebhook,
    Delivery,
    DeliveryPage,
    GetDelivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    UpdateWebhook,
    Webhook,
    WebhookDeleted,
    WebhookPage,
    WebhookSecret,
)
from k1_platform.postgres.pool import Connection, Pool
from k1_webhooks import errors
from k1_webhooks.database import write_audit_entry
from k1_webhooks.deliveries import store as delivery_store
from k1_webhooks.deliveries.addresses import url_problem
from k1_webhooks.deliveries.matching import delivery_body
from k1_webhooks.deliveries.signature import derive_secret, secret_text
from k1_webhooks.endpoints import store

MAX_WEBHOOKS: Final = 200
_BEFORE_ALL: Final = "~"
"""Greater than every id."""


@dataclass(frozen=True, slots=True)
class WebhookQueries:
    """Reads and changes webhooks; only administrators get here."""

    pool: Pool
    master_key: bytes
    allow_private: bool
    clock: Callable[[], datetime]

    async def create(self, query: CreateWebhook) -> WebhookSecret:
        """Add a webhook and return its secret, once."""
        self._require_url(query.url)
        now = self.clock()
        webhook = Webhook(
            id=new_id("whk"),
            url=query.url,
            event_types=query.event_types,
            description=query.description,
            enabled=True,
            created_at=now,
            updated_at=now,
        )
        async with self.pool.acquire() as connection, connection.transaction():
            if await store.count_webhooks(connection) >= MAX_WEBHOOKS:
                raise errors.too_many_webhooks(MAX_WEBHOOKS)
            await store.insert_webhook(connection, webhook)
            await write_audit_entry(connection, webhook.id, "created", query.url)
        return self._with_secret(webhook, 1)

    async def list_webhooks(self, query: ListWebhooks) -> WebhookPage:
        """Return a page of webhooks, oldest first."""
        async with self.pool.acquire() as connection:
            total, items = await store.list_webhooks(connection, query.cursor or "", query.limit + 1)
        page = items[: query.limit]
        return WebhookPage(
            total=total, items=page, next_cursor=page[-1].id if len(items) > query.limit else None
        )

    async def get(self, query: GetWebhook) -> Webhook:
        """Return one webhook."""
        async with self.pool.acquire() as connection:
            return await _require_webhook(connection, query.webhook_id)

    async def update(self, query: UpdateWebhook) -> Webhook:
        """Change the given fields. Enabling it again forgets why it was disabled; failed deliveries stay failed."""
        if query.url is not None:
            self._require_url(query.url)
        async with self.pool.acquire() as connection, connection.transaction():
            before = await _require_webhook(connection, query.webhook_id, lock=True)
            changes = query.model_dump(exclude={"webhook_id"}, exclude_none=True)
            after = before.model_copy(update={**changes, "updated_at": self.clock()})
            if query.enabled is not None:
                after = after.model_copy(update={"disabled_reason": None})
            await store.save_webhook(connection, after)
            if before.enabled and not after.enabled:
                await delivery_store.fail_pending(connection, before.id, "the webhook was disabled")
            await write_audit_entry(connection, before.id, "changed", ", ".join(sorted(changes)))
        return after

    async def delete(self, query: GetWebhook) -> WebhookDeleted:
        """Remove a webhook and its deliveries."""
        async with self.pool.acquire() as connection, connection.transaction():
            if not await store.delete_webhook(connection, query.webhook_id):
                raise errors.webhook_not_found(query.webhook_id)
            await write_audit_entry(connection, query.webhook_id, "deleted")
        return WebhookDeleted(webhook_id=query.webhook_id)

    async def rotate_secret(self, query: GetWebhook) -> WebhookSecret:
        """Replace the secret; the next attempt is signed with the new one."""
        async with self.pool.acquire() as connection, connection.transaction():
            number = await store.next_secret_number(connection, query.webhook_id)
            if number is None:
                raise errors.webhook_not_found(query.webhook_id)
            await write_audit_entry(connection, query.webhook_id, "secret rotated")
            return self._with_secret(await _require_webhook(connection, query.webhook_id), number)

    async def send_test(self, query: GetWebhook) -> Delivery:
        """Add a delivery of the type `webhook.test`."""
        async with self.pool.acquire() as connection, connection.transaction():
            webhook = await _require_webhook(connection, query.webhook_id)
            delivery_id = new_id("dlv")
            body = delivery_body("webhook.test", datetime.now(UTC), {"webhook_id": webhook.id})
            new = delivery_store.NewDelivery(delivery_id, webhook.id, "webhook.test", body)
            await delivery_store.insert_deliveries(connection, [new])
            return await _require_delivery(connection, delivery_id)

    async def list_deliveries(self, query: ListDeliveries) -> DeliveryPage:
        """Return a page of a webhook's deliveries, newest first."""
        async with self.pool.acquire() as connection:
            await _require_webhook(connection, query.webhook_id)
            total, items = await delivery_store.list_deliveries(
                connection, query.webhook_id, query.status, query.cursor or _BEFORE_ALL, query.limit + 1
            )
        page = items[: query.limit]
        return DeliveryPage(
            total=total, items=page, next_cursor=page[-1].id if len(items) > query.limit else None
        )

    async def redrive(self, query: GetDelivery) -> Delivery:
        """Try an ended delivery again, with the whole schedule before it."""
        async with self.pool.acquire() as connection, connection.transaction():
            again = await delivery_store.redrive(connection, query.delivery_id)
            if again is None:
                raise errors.delivery_pending((await _require_delivery(connection, query.delivery_id)).id)
            await write_audit_entry(connection, again.webhook_id, "redriven", again.id)
        return again

    def _require_url(self, url: str) -> None:
        problem = url_problem(url, allow_private=self.allow_private)
        if problem is not None:
            raise errors.url_not_allowed(problem)

    def _with_secret(self, webhook: Webhook, number: int) -> WebhookSecret:
        secret = derive_secret(self.master_key, webhook.id, number)
        return WebhookSecret(webhook=webhook, secret=secret_text(secret))


async def _require_webhook(connection: Connection, webhook_id: str, *, lock: bool = False) -> Webhook:
    webhook = await store.find_webhook(connection, webhook_id, lock=lock)
    if webhook is None:
        raise errors.webhook_not_found(webhook_id)
    return webhook


async def _require_delivery(connection: Connection, delivery_id: str) -> Delivery:
    delivery = await delivery_store.find_delivery(connection, delivery_id)
    if delivery is None:
        raise errors.delivery_not_found(delivery_id)
    return delivery
