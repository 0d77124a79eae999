"""Defines the queries about webhooks: addresses of other systems that get events by HTTP, and their deliveries."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.base import NO_NUL, Contract, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import DeliveryId, WebhookId
from k1_contracts.rpc import Cursor, Limit

EventPattern = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]+(\.[a-z_]+)*(\.\*)?)$", max_length=100)]
"""A type of event such as `analysis.completed`, all of a kind such as `deploy.*`, or `*`."""
WebhookUrl = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x7e]{1,2000}$")]
Description = Annotated[str, StringConstraints(pattern=NO_NUL, max_length=300)]
DeliveryStatus = Literal["pending", "delivered", "failed"]
EventPatterns = Annotated[list[EventPattern], Field(min_length=1, max_length=50)]


class Webhook(Contract):
    id: WebhookId
    url: str
    event_types: list[str]
    description: str
    enabled: bool
    disabled_reason: str | None = None
    """Why the service disabled it: the receiver answered 410, or failed for days."""
    created_at: UtcTime
    updated_at: UtcTime


class CreateWebhook(Contract):
    url: WebhookUrl
    event_types: EventPatterns = Field(default=["*"])
    description: Description = ""


class WebhookSecret(Contract):
    """A webhook with the secret that signs its deliveries. It is shown here and never again."""

    webhook: Webhook
    secret: str
    """`whsec_` and the key in base64, as the libraries of Standard Webhooks take it."""


class GetWebhook(Contract):
    webhook_id: WebhookId


class UpdateWebhook(Contract):
    webhook_id: WebhookId
    url: WebhookUrl | None = None
    event_types: EventPatterns | None = None
    description: Description | None = None
    enabled: bool | None = None


class ListWebhooks(Contract):
    limit: Limit = 50
    cursor: Cursor | None = None


class WebhookPage(Contract):
    total: int
    items: list[Webhook]
    next_cursor: Cursor | None = None


class WebhookDeleted(Contract):
    webhook_id: WebhookId


class Delivery(Contract):
    """One event for one webhook."""

    id: DeliveryId
    """The header `webhook-id`: the same in every attempt, so a receiver knows a repetition."""
    webhook_id: WebhookId
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: UtcTime | None = None
    last_status: int | None = None
    """The HTTP status of the last attempt; None if there was no answer."""
    last_error: str | None = None
    created_at: UtcTime
    ended_at: UtcTime | None = None


class ListDeliveries(Contract):
    webhook_id: WebhookId
    status: DeliveryStatus | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class DeliveryPage(Contract):
    total: int
    items: list[Delivery]
    next_cursor: Cursor | None = None


class GetDelivery(Contract):
    delivery_id: DeliveryId


WEBHOOK_CREATE: Final = Query(
    "rpc.webhooks.webhook.create", CreateWebhook, WebhookSecret, summary="Add a webhook", role="admin"
)
WEBHOOK_LIST: Final = Query(
    "rpc.webhooks.webhook.list", ListWebhooks, WebhookPage, summary="The webhooks", role="admin"
)
WEBHOOK_GET: Final = Query(
    "rpc.webhooks.webhook.get", GetWebhook, Webhook, summary="One webhook", role="admin"
)
WEBHOOK_UPDATE: Final = Query(
    "rpc.webhooks.webhook.update", UpdateWebhook, Webhook, summary="Change a webhook", role="admin"
)
WEBHOOK_DELETE: Final = Query(
    "rpc.webhooks.webhook.delete", GetWebhook, WebhookDeleted, summary="Remove a webhook", role="admin"
)
WEBHOOK_ROTATE: Final = Query(
    "rpc.webhooks.webhook.rotate", GetWebhook, WebhookSecret, summary="Replace the secret", role="admin"
)
WEBHOOK_TEST: Final = Query(
    "rpc.webhooks.webhook.test", GetWebhook, Delivery, summary="Send an event `webhook.test`", role="admin"
)
DELIVERY_LIST: Final = Query(
    "rpc.webhooks.delivery.list",
    ListDeliveries,
    DeliveryPage,
    summary="Deliveries, newest first",
    role="admin",
)
DELIVERY_REDRIVE: Final = Query(
    "rpc.webhooks.delivery.redrive",
    GetDelivery,
    Delivery,
    summary="Try a failed delivery again",
    role="admin",
)
