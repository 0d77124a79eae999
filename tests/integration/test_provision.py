"""Provisioning, on a real broker."""

import asyncio

from nats.js import JetStreamContext

from k1_contracts import durables, streams
from k1_contracts.durables import DURABLES
from k1_platform.nats.provision import provision_bus
from k1_platform.provision import provision


async def test_provisioning_again_changes_nothing(jetstream: JetStreamContext) -> None:
    """It is idempotent, also when several pods run it at once, and creates every stream, durable and bucket."""
    await asyncio.gather(*(provision_bus(jetstream) for _ in range(3)))
    await provision()
    for stream in streams.STREAMS:
        info = await jetstream.stream_info(stream.name)
        assert tuple(info.config.subjects or ()) == durables.stream_subjects(stream)
    for durable in DURABLES:
        info = await jetstream.consumer_info(durable.stream, durable.name)
        assert info.config.max_deliver == durable.max_deliver
        assert info.config.filter_subjects == durable.filter_subjects
    for bucket in streams.BUCKETS:
        assert (await jetstream.key_value(bucket.name)) is not None
