"""The index of the webhooks service: it consumes every event and answers the queries about webhooks."""

from k1_contracts.durables import WEBHOOKS
from k1_contracts.messages.webhooks import (
    DELIVERY_LIST,
    DELIVERY_REDRIVE,
    WEBHOOK_CREATE,
    WEBHOOK_DELETE,
    WEBHOOK_GET,
    WEBHOOK_LIST,
    WEBHOOK_ROTATE,
    WEBHOOK_TEST,
    WEBHOOK_UPDATE,
)
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, respond
from k1_platform.nats.streams.consumers import consume
from k1_platform.postgres.pool import TRANSIENT_ERRORS
from k1_webhooks.deliveries.intake import EventIntake
from k1_webhooks.endpoints.queries import WebhookQueries


def consume_events(bus: Bus, intake: EventIntake, *, workers: int) -> None:
    """Consume every event of the stream on the durable `webhooks`."""
    consume(bus.broker, WEBHOOKS, intake.handle_event, workers=workers)


def serve_queries(bus: Bus, webhooks: WebhookQueries) -> None:
    """Answer the queries of the gateway."""
    handlers = [
        QueryHandler(WEBHOOK_CREATE, webhooks.create),
        QueryHandler(WEBHOOK_LIST, webhooks.list_webhooks),
        QueryHandler(WEBHOOK_GET, webhooks.get),
        QueryHandler(WEBHOOK_UPDATE, webhooks.update),
        QueryHandler(WEBHOOK_DELETE, webhooks.delete),
        QueryHandler(WEBHOOK_ROTATE, webhooks.rotate_secret),
        QueryHandler(WEBHOOK_TEST, webhooks.send_test),
        QueryHandler(DELIVERY_LIST, webhooks.list_deliveries),
        QueryHandler(DELIVERY_REDRIVE, webhooks.redrive),
    ]
    respond(bus.broker, handlers, transient=TRANSIENT_ERRORS)
