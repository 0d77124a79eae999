"""Names the subjects of the JetStream API and of key-value buckets, and sends the requests that nats-py has no call for.

The rest of the system uses these functions instead of the raw subjects.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError

ANY_KEY: Final = "*"
"""Stands for every key that has no dot, in the subject of a subscription."""
_ACKNOWLEDGEMENT_PREFIX: Final = "$JS.ACK."
_V1_PARTS: Final = 9
"""The parts of a reply subject whose account has no domain; otherwise it has two more in front."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_WITHOUT_WAITING: Final = json.dumps({"batch": 1, "no_wait": True}).encode()


def key_subject(bucket: str, key: str) -> str:
    """Return the subject on which the entries of a key are published."""
    return f"$KV.{bucket}.{key}"


def key_of(bucket: str, subject: str) -> str:
    """Return the key of a bucket that an entry on this subject has."""
    return subject.removeprefix(key_subject(bucket, ""))


async def purge_key(jetstream: JetStreamContext, bucket: str, key: str) -> None:
    """Remove all entries of a key. Unlike `KeyValue.purge` this leaves no marker behind."""
    await jetstream.purge_stream(f"KV_{bucket}", subject=key_subject(bucket, key))


def is_delivery(message: Msg) -> bool:
    """Return whether a stream delivered this message; it can be acknowledged."""
    return (message.reply or "").startswith(_ACKNOWLEDGEMENT_PREFIX)


class DeliveryInfo(NamedTuple):
    """What the reply subject of a delivered message says about it."""

    number: int
    """Which delivery it is, from 1."""
    sequence: int
    """The number of the message in its stream."""
    arrived_us: int
    """When the broker received it, in microseconds since 1970."""

    @property
    def arrived(self) -> datetime:
        """Return when the broker received the message."""
        return _EPOCH + timedelta(microseconds=self.arrived_us)


def delivery_info(message: Msg) -> DeliveryInfo:
    """Return what the reply subject of a message says; several times as fast as `Msg.metadata`, which reads all of it."""
    parts = message.reply.split(".")
    first = 4 if len(parts) == _V1_PARTS else 6
    return DeliveryInfo(int(parts[first]), int(parts[first + 1]), int(parts[first + 3]) // 1000)


async def request_messages(
    client: Client, stream: str, consumer: str, *, batch: int, expires_s: float, reply: str
) -> None:
    """Request up to `batch` messages of a consumer, delivered to `reply` until the request ends after `expires_s`."""
    body = json.dumps({"batch": batch, "expires": int(expires_s * 1e9)}).encode()
    await client.publish(_next_message_subject(stream, consumer), body, reply=reply)


async def take_message(client: Client, stream: str, consumer: str, *, timeout_s: float) -> Msg | None:
    """Return the next message of a consumer, or None when it has none now.

    Raises:
        nats.errors.Error: the broker does not respond, or the consumer does not exist.
    """
    # A stream delivers under the message's own subject, which only the old style of request receives.
    message = await client.request(
        _next_message_subject(stream, consumer), _ONE_WITHOUT_WAITING, timeout=timeout_s, old_style=True
    )
    # A consumer without messages replies with a status.
    return message if is_delivery(message) else None


async def request_consumer_info(client: Client, stream: str, consumer: str, *, timeout_s: float) -> bytes:
    """Return the state of a consumer as the JSON of the broker; its field `ts` is the time of the broker's clock.

    Raises:
        nats.errors.Error: the broker does not respond.
    """
    response = await client.request(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"", timeout=timeout_s)
    return response.data


async def reset_consumer(
    client: Client, stream: str, consumer: str, sequence: int, *, timeout_s: float = 5
) -> None:
    """Make a consumer go on with the message of this number; it forgets what was delivered and acknowledged.

    Raises:
        nats.js.errors.APIError: the broker refuses; it is older than 2.14, or the consumer does not exist.
        nats.errors.Error: the broker does not respond.
    """
    body = json.dumps({"seq": sequence}).encode()
    response = await client.request(f"$JS.API.CONSUMER.RESET.{stream}.{consumer}", body, timeout=timeout_s)
    if error := json.loads(response.data).get("error"):
        APIError.from_error(error)


def snapshot_subject(stream: str) -> str:
    """Return the subject of requests for the archive of a stream."""
    return f"$JS.API.STREAM.SNAPSHOT.{stream}"


def restore_subject(stream: str) -> str:
    """Return the subject of requests to make a stream from its archive."""
    return f"$JS.API.STREAM.RESTORE.{stream}"


def _next_message_subject(stream: str, consumer: str) -> str:
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
