"""Makes dead letters of the messages that the broker itself gave up.

The server publishes an advisory for each message that reached `max_deliver` or was terminated; a stream stores the
advisories. Every service runs this relay on one shared durable, so a single running service handles all advisories.
"""

import json
import logging
from typing import Any, Final

from faststream.nats import NatsMessage
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.durables import DEAD_LETTER_RELAY
from k1_platform.errors import PermanentError
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.dead_letters.message import Failure, publish_dead_letter
from k1_platform.nats.streams.consumers import consume

_DEAD_LETTER_STREAMS: Final = frozenset({streams.DEAD_LETTERS, streams.ADVISORIES})
_log = logging.getLogger(__name__)


def subscribe_dead_letter_relay(bus: Bus) -> None:
    """Subscribe the relay; it runs after the start of the broker."""

    async def relay(message: NatsMessage) -> None:
        await _relay(bus, message.body)

    consume(bus.broker, DEAD_LETTER_RELAY, relay, workers=1)


async def _relay(bus: Bus, body: bytes) -> None:
    advisory = _parse(body)
    stream, durable = advisory["stream"], advisory["consumer"]
    sequence = advisory["stream_seq"]
    if stream in _DEAD_LETTER_STREAMS:
        return
    lost = await _stored(bus.jetstream, stream, sequence)
    if lost is None:
        _log.warning("a given-up message is no longer stored", extra={"stream": stream, "sequence": sequence})
        return
    reason = advisory.get("reason") or "it reached its number of deliveries"
    await publish_dead_letter(
        bus.client,
        data=lost.data or b"",
        headers=lost.headers or {},
        origin=(stream, durable, sequence, lost.subject or ""),
        failure=Failure("given_up", f"given up by the broker: {reason}", permanent=True, attempts_allowed=1),
        attempts=int(advisory.get("deliveries", 0)),
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        advisory: dict[str, Any] = json.loads(body)
        _ = advisory["stream"], advisory["consumer"], advisory["stream_seq"]
    except (ValueError, KeyError, TypeError) as error:
        raise PermanentError("invalid_advisory", f"not a consumer advisory: {error!r}") from error
    return advisory


async def _stored(jetstream: JetStreamContext, stream: str, sequence: int) -> Any:
    try:
        return await jetstream.get_msg(stream, seq=sequence)
    except NotFoundError:
        return None
