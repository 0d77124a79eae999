"""Creates or updates the streams, durables and key-value buckets that the contracts define."""

import asyncio
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import NotFoundError

from k1_contracts import streams
from k1_contracts.durables import DURABLES, Durable, stream_subjects
from k1_platform.nats.administration.mqtt_state import limit_mqtt_state
from k1_platform.nats.jetstream_api import key_subject

_BUCKET_DUPLICATES_S: Final = 120.0
"""The duplicate window of a bucket; the server accepts none that is longer than the time to live."""


class MirrorError(Exception):
    """The server has mirrors of the streams, not the streams."""


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


def bucket_config(bucket: streams.Bucket, replicas: int = 1) -> StreamConfig:
    """Return the configuration of the stream of a key-value bucket, as the clients of NATS make it."""
    ttl_s = bucket.ttl.total_seconds() if bucket.ttl else None
    return StreamConfig(
        name=bucket.stream,
        description=bucket.description,
        subjects=[key_subject(bucket.name, ">")],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=ttl_s,
        max_bytes=bucket.max_bytes,
        max_msgs_per_subject=1,
        duplicate_window=min(ttl_s or _BUCKET_DUPLICATES_S, _BUCKET_DUPLICATES_S),
        allow_direct=True,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        deny_delete=True,
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

    Raises:
        MirrorError: the server has mirrors, which this would end; nothing was changed.
    """
    await _require_no_mirrors(jetstream)
    for stream in streams.STREAMS:
        await put_stream(jetstream, stream_config(stream, replicas))
    await limit_mqtt_state(jetstream, replicas)
    await asyncio.gather(
        *(jetstream.add_consumer(durable.stream, consumer_config(durable)) for durable in DURABLES),
        *(put_stream(jetstream, bucket_config(bucket, replicas)) for bucket in streams.BUCKETS),
    )


async def find_stream(jetstream: JetStreamContext, name: str) -> StreamInfo | None:
    """Return the configuration and state of a stream, or None if it does not exist."""
    try:
        return await jetstream.stream_info(name)
    except NotFoundError:
        return None


async def put_stream(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Create a stream, or change it to this configuration."""
    if await find_stream(jetstream, config.name or ""):
        await jetstream.update_stream(config)
    else:
        await jetstream.add_stream(config)


async def _require_no_mirrors(jetstream: JetStreamContext) -> None:
    for stream in streams.STREAMS:
        found = await find_stream(jetstream, stream.name) if stream.is_mirrored else None
        if found is not None and found.config.mirror is not None:
            raise MirrorError(f"{stream.name} is a mirror; promote it first (docs/backup.md)")
