"""Provisioning, on a real broker and on a cluster of brokers."""

import asyncio
from dataclasses import replace
from pathlib import Path

from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from k1_contracts import durables, streams
from k1_contracts.durables import DURABLES, analysis_lane
from k1_contracts.messages.analysis import ANALYSIS_QUEUED
from k1_platform.nats.administration.provision import consumer_config, provision_bus
from k1_platform.nats.jetstream_api import take_message
from k1_platform.provision import provision
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client
from tests.support.servers.nats_cluster import NODES, running_nats_cluster
from tests.support.waiting import eventually

TRANSIENT = (NatsError, TimeoutError)
"""While a leader is elected, the cluster does not answer."""


async def test_provisioning_again_changes_nothing(jetstream: JetStreamContext) -> None:
    """It is idempotent, also when several pods run it at once, and creates every stream, durable and bucket.

    A durable that read some subjects in an earlier release reads the whole stream afterwards, and a bucket whose entries
    lived for a shorter time gets the present one.
    """
    await asyncio.gather(*(provision_bus(jetstream) for _ in range(3)))
    narrow = replace(durables.TELEMETRY_STORE, reads_whole_stream=False)
    await jetstream.add_consumer(narrow.stream, consumer_config(narrow))
    presence = await jetstream.stream_info(streams.PRESENCE.stream)
    await jetstream.update_stream(presence.config, max_age=6.0, duplicate_window=6.0)
    await provision()
    for stream in streams.STREAMS:
        info = await jetstream.stream_info(stream.name)
        assert tuple(info.config.subjects or ()) == durables.stream_subjects(stream)
    for durable in DURABLES:
        info = await jetstream.consumer_info(durable.stream, durable.name)
        assert info.config.max_deliver == durable.max_deliver
        assert (info.config.filter_subjects or []) == durable.filter_subjects
    for bucket in streams.BUCKETS:
        status = await (await jetstream.key_value(bucket.name)).status()
        assert status.ttl == (bucket.ttl.total_seconds() if bucket.ttl else 0)
        assert status.stream_info.config.description == bucket.description


async def test_a_cluster_works_on_when_a_server_is_lost(tmp_path: Path) -> None:
    """With three replicas everything is stored on each server, also what had one replica before.

    When a server is killed, streams, durables and buckets serve on, with all they held.
    """
    with running_nats_cluster(tmp_path) as cluster:
        async with connected_client(NatsSettings(url=cluster.url), max_reconnect_attempts=-1) as client:
            jetstream = client.jetstream(timeout=2)

            async def provisioned(replicas: int) -> bool:
                await provision_bus(jetstream, replicas=replicas)
                return True

            await eventually(lambda: provisioned(1), "the cluster has a leader", retry_on=TRANSIENT)
            bucket = await jetstream.key_value(streams.JOB_PLACES.name)
            await bucket.put("job", b"before")
            lane = analysis_lane(1)
            await jetstream.publish(ANALYSIS_QUEUED.subject_for(1), b"before")
            await eventually(lambda: provisioned(NODES), "all has replicas", retry_on=TRANSIENT)

            async def is_current(stream: str) -> bool:
                info = await jetstream.stream_info(stream)
                followers = info.cluster.replicas or [] if info.cluster else []
                assert info.config.num_replicas == NODES
                return len(followers) == NODES - 1 and all(each.current for each in followers)

            buckets = [each.stream for each in streams.BUCKETS]
            names = [*(each.name for each in streams.STREAMS), *buckets, "$MQTT_sess", "$MQTT_msgs"]
            for name in names:
                await eventually(
                    lambda name=name: is_current(name),
                    f"the replicas of {name} are current",
                    retry_on=TRANSIENT,
                )

            cluster.servers[0].kill()
            cluster.servers[0].wait()

            async def stored() -> bool:
                await jetstream.publish(ANALYSIS_QUEUED.subject_for(1), b"after", timeout=2)
                return True

            await eventually(stored, "a message is stored", retry_on=TRANSIENT)

            async def taken() -> bytes | None:
                message = await take_message(client, lane.stream, lane.name, timeout_s=2)
                return message.data if message else None

            assert await eventually(taken, "a message", retry_on=TRANSIENT) == b"before"

            async def kept() -> bytes | None:
                bucket = await jetstream.key_value(streams.JOB_PLACES.name)
                return (await bucket.get("job")).value

            assert await eventually(kept, "the entry of the bucket", retry_on=TRANSIENT) == b"before"
