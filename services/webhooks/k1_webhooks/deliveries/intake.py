"""Adds a delivery for each webhook that wants an event, in the transaction that records the event."""

import json
from dataclasses import dataclass

from faststream.nats import NatsMessage

from k1_contracts.durables import WEBHOOKS
from k1_contracts.envelope import Envelope, EnvelopeError
from k1_contracts.ids import derived_id
from k1_platform.errors import PermanentError
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.pool import Pool
from k1_webhooks.database import SCHEMA
from k1_webhooks.deliveries.matching import delivery_body, matches
from k1_webhooks.deliveries.store import NewDelivery, insert_deliveries
from k1_webhooks.endpoints.store import enabled_webhooks


@dataclass(frozen=True, slots=True)
class EventIntake:
    """Handles every event of the stream, whatever its type."""

    pool: Pool

    async def handle_event(self, message: NatsMessage) -> None:
        """Add the deliveries of an event. The same event again adds none.

        Raises:
            PermanentError: the message is no event.
        """
        raw = message.raw_message
        try:
            envelope = Envelope.from_headers(raw.headers or {})
            data = json.loads(raw.data)
        except (EnvelopeError, ValueError) as error:
            raise PermanentError("invalid_event", str(error)) from error
        async with self.pool.acquire() as connection, connection.transaction():
            if not await mark_handled(connection, SCHEMA, WEBHOOKS.name, envelope.id):
                return
            wanted = [
                each
                for each in await enabled_webhooks(connection)
                if matches(envelope.type, each.event_types)
            ]
            body = delivery_body(envelope.type, envelope.time, data)
            deliveries = [
                NewDelivery(derived_id("dlv", envelope.id, each.id), each.id, envelope.type, body)
                for each in wanted
            ]
            await insert_deliveries(connection, deliveries)
