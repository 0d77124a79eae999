"""Create or update streams, durables, buckets and the object bucket: `python -m k1_platform.provision`.

One idempotent step before any service starts. Durables exist before the first pod asks for
messages, so nothing is missed, and an autoscaler never takes a missing one for the whole stream.
"""

import asyncio
import logging

import nats
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
from k1_platform.mqtt_state import limit_mqtt_state
from k1_platform.nats_connection import connect_options
from k1_platform.objects import ObjectStore
from k1_platform.observability import configure_logging
from k1_platform.settings import NatsSettings, ObjectStoreSettings, ObservabilitySettings

_log = logging.getLogger(__name__)


def stream_config(stream: streams.Stream) -> StreamConfig:
    """The server's form of a stream."""
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
    )


def consumer_config(durable: Durable) -> ConsumerConfig:
    """The server's form of a durable."""
    return ConsumerConfig(
        durable_name=durable.name,
        filter_subjects=durable.filter_subjects,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=durable.ack_wait.total_seconds(),
        max_deliver=durable.max_deliver,
        max_ack_pending=durable.max_ack_pending,
    )


async def provision_bus(jetstream: JetStreamContext) -> None:
    """Bring streams, durables and key-value buckets to what the contracts say, and limit the state of MQTT."""
    for stream in streams.STREAMS:
        config = stream_config(stream)
        try:
            await jetstream.stream_info(stream.name)
        except NotFoundError:
            await jetstream.add_stream(config)
        else:
            await jetstream.update_stream(config)
    await limit_mqtt_state(jetstream)
    await asyncio.gather(
        *(jetstream.add_consumer(durable.stream, consumer_config(durable)) for durable in DURABLES),
        *(_provision_bucket(jetstream, bucket) for bucket in streams.BUCKETS),
    )


async def _provision_bucket(jetstream: JetStreamContext, bucket: streams.Bucket) -> None:
    try:
        await jetstream.key_value(bucket.name)
    except BucketNotFoundError:
        await jetstream.create_key_value(
            KeyValueConfig(
                bucket=bucket.name,
                description=bucket.description,
                history=1,
                ttl=bucket.ttl.total_seconds() if bucket.ttl else None,
                max_bytes=bucket.max_bytes,
                direct=True,
            )
        )


async def provision() -> None:
    """Provision NATS and the object store named by the environment."""
    client = await nats.connect(
        **connect_options(NatsSettings()), connect_timeout=5, max_reconnect_attempts=3
    )
    objects = ObjectStore(ObjectStoreSettings())
    try:
        await asyncio.gather(provision_bus(client.jetstream()), objects.ensure_bucket())
    finally:
        objects.close()
        await client.close()
    _log.info("provisioned")


if __name__ == "__main__":
    configure_logging("provision", ObservabilitySettings().log_level)
    asyncio.run(provision())
