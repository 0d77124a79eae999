"""Creates or updates the streams, durables and key-value buckets that the contracts define."""

import asyncio
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BucketNotFoundError, NotFoundError

from k1_contracts import streams
from k1_contracts.durables import DURABLES, Durable, stream_subjects
from k1_platform.nats.mqtt_state import limit_mqtt_state

_DUPLICATE_WINDOW_S: Final = 120.0
"""Of a bucket's stream, as nats-py creates it; the server accepts none that is longer than the time to live."""


def stream_config(stream: streams.Stream, replicas: int = 1) -> StreamConfig:
    """Return the configuration of a stream for the server, stored on this number of servers."""
    return StreamConfig(
        name=stream.name,
        description=stream.description,
        subjects=list(stream_subjects(stream)),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=stream.max_age.total_seconds(),
        max_bytes=stream.max_bytes,
        max_msgs_per_subject=stream.max_msgs_per_subject,
        max_msg_size=stream.max_msg_bytes,
        duplicate_window=stream.duplicate_window.total_seconds(),
        allow_direct=True,
        no_ack=not stream.confirms,
        num_replicas=replicas,
    )


def consumer_config(durable: Durable) -> ConsumerConfig:
    """Return the configuration of a durable for the server."""
    return ConsumerConfig(
        durable_name=durable.name,
        filter_subjects=durable.filter_subjects,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=durable.ack_wait.total_seconds(),
        max_deliver=durable.max_deliver,
        max_ack_pending=durable.max_ack_pending,
    )


async def provision_bus(jetstream: JetStreamContext, *, replicas: int = 1) -> None:
    """Create or update all streams, durables and key-value buckets, and limit the state of MQTT clients.

    Each is stored on `replicas` servers; a durable on as many as its stream.
    """
    for stream in streams.STREAMS:
        config = stream_config(stream, replicas)
        try:
            await jetstream.stream_info(stream.name)
        except NotFoundError:
            await jetstream.add_stream(config)
        else:
            await jetstream.update_stream(config)
    await limit_mqtt_state(jetstream, replicas)
    await asyncio.gather(
        *(jetstream.add_consumer(durable.stream, consumer_config(durable)) for durable in DURABLES),
        *(_provision_bucket(jetstream, bucket, replicas) for bucket in streams.BUCKETS),
    )


async def _provision_bucket(jetstream: JetStreamContext, bucket: streams.Bucket, replicas: int) -> None:
    ttl_s = bucket.ttl.total_seconds() if bucket.ttl else 0.0
    try:
        config = (await (await jetstream.key_value(bucket.name)).status()).stream_info.config
    except BucketNotFoundError:
        await jetstream.create_key_value(
            KeyValueConfig(
                bucket=bucket.name,
                description=bucket.description,
                history=1,
                ttl=ttl_s,
                max_bytes=bucket.max_bytes,
                storage=StorageType.FILE,
                replicas=replicas,
                direct=True,
            )
        )
    else:
        await jetstream.update_stream(
            config,
            description=bucket.description,
            max_age=ttl_s,
            duplicate_window=min(_DUPLICATE_WINDOW_S, ttl_s) if ttl_s else _DUPLICATE_WINDOW_S,
            max_bytes=bucket.max_bytes,
            num_replicas=replicas,
        )
