"""Keeps copies of the streams on the servers of a second cluster, and turns them into streams when the first is lost.

The servers of the second cluster connect to those of the first as leaf nodes and have a JetStream domain of their own. A
mirror has the name of its source, so that it can take its place; its domain and its description tell it apart. It has the
same messages under the same numbers, but no durables, and no deletions: it deletes by its limits only.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, ExternalStream, StreamConfig, StreamSource

from k1_contracts import streams
from k1_contracts.durables import DURABLES
from k1_platform.nats.administration.provision import (
    bucket_config,
    consumer_config,
    find_stream,
    put_stream,
    stream_config,
)
from k1_platform.nats.jetstream_api import key_subject, reset_consumer

_SOURCE: Final = ExternalStream(api=f"$JS.{streams.DOMAIN}.API", deliver="")
_UNUSED_S: Final = 5.0


def mirror_configs(replicas: int = 1) -> Iterator[StreamConfig]:
    """Yield the configuration of each mirror: the limits of its source, and no subjects."""
    for config, subject in _mirrored(replicas):
        source = StreamSource(name=config.name or "", filter_subject=subject, external=_SOURCE)
        yield config.evolve(
            description=f"Mirror: {config.description}",
            subjects=None,
            duplicate_window=0,
            no_ack=False,
            mirror=source,
        )


async def provision_mirrors(jetstream: JetStreamContext, *, replicas: int = 1) -> None:
    """Create or update the mirrors. They copy as soon as the servers are connected to those of the source.

    A mirror that was promoted is left as it is.
    """
    for config in mirror_configs(replicas):
        found = await find_stream(jetstream, config.name or "")
        if found is None or found.config.mirror is not None:
            await put_stream(jetstream, config)


async def promote_mirrors(
    client: Client, jetstream: JetStreamContext, *, replicas: int = 1, since: datetime | None = None
) -> dict[str, int]:
    """Turn the mirrors into streams and make their durables; return the number of the last message of each.

    The durables of EVENTS begin with the first event at or after `since`, otherwise with the first; those of the other
    streams with the first message. May be repeated until services use the streams.

    Raises:
        NotFoundError: there is no mirror of a stream.
    """
    last: dict[str, int] = {}
    for config, _ in _mirrored(replicas):
        name = config.name or ""
        last[name] = (await jetstream.stream_info(name)).state.last_seq
        await jetstream.update_stream(config)
    for durable in DURABLES:
        if durable.stream in last:
            await jetstream.add_consumer(durable.stream, consumer_config(durable))
    if since is not None:
        first = await _first_at(jetstream, streams.EVENTS, since)
        for durable in DURABLES:
            if durable.stream == streams.EVENTS:
                await reset_consumer(client, durable.stream, durable.name, first)
    return last


def _mirrored(replicas: int) -> Iterator[tuple[StreamConfig, str | None]]:
    """Yield the configuration of each stream that is mirrored, and the subject of what is copied, None for all."""
    for stream in streams.STREAMS:
        if stream.is_mirrored:
            yield stream_config(stream, replicas), None
    for bucket in streams.BUCKETS:
        if bucket.mirrored_keys is not None:
            yield bucket_config(bucket, replicas), key_subject(bucket.name, bucket.mirrored_keys)


async def _first_at(jetstream: JetStreamContext, stream: str, time: datetime) -> int:
    """Return the number of the first message at or after a time; of the next one if there is none yet."""
    info = await jetstream.add_consumer(
        stream,
        ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=time,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_UNUSED_S,
        ),
    )
    await jetstream.delete_consumer(stream, info.name)
    return (info.delivered.stream_seq if info.delivered else 0) + 1
