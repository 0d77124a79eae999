"""Mirrors on a second server: they copy, catch up, and become the streams when the first server is lost."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.kv import KeyValue

from k1_contracts import streams
from k1_contracts.durables import CATALOGUE, DEPLOY, DURABLES, analysis_lane
from k1_contracts.messages.analysis import ANALYSIS_QUEUED
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED
from k1_platform.mirror import mirror
from k1_platform.nats.administration.mirrors import mirror_configs, promote_mirrors, provision_mirrors
from k1_platform.nats.administration.provision import MirrorError, provision_bus
from k1_platform.nats.jetstream_api import take_message
from k1_platform.settings import NatsSettings
from tests.support.bus import connected_client, flush, read_stream
from tests.support.servers.nats_mirror import MirroredServers, running_mirrored_servers
from tests.support.waiting import PATIENCE_S, eventually

TRANSIENT = (NatsError, TimeoutError)
MIRRORED = {each.name or "" for each in mirror_configs()}
LANE = analysis_lane(5)
EVENTS = 50


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[MirroredServers]:
    with running_mirrored_servers(tmp_path) as servers:
        yield servers


async def publish_events(jetstream: JetStreamContext, first: int) -> None:
    """Publish events, each with its number as body and id."""
    for number in range(first, first + EVENTS):
        await jetstream.publish(
            TRACK_UPLOADED.subject, b"%d" % number, headers={"Nats-Msg-Id": f"event {number}"}
        )


async def fill(jetstream: JetStreamContext) -> None:
    """Put something into each kind of what is mirrored."""
    await publish_events(jetstream, 0)
    await jetstream.publish(ANALYSIS_QUEUED.subject_for(5), b"job")
    uploads = await jetstream.key_value(streams.UPLOADS.name)
    for key in ("kept", "deleted", "pending.track"):
        await uploads.put(key, key.encode())
    await uploads.delete("deleted")


async def contents(client: Client, stream: str) -> list[tuple[int, datetime, str, bytes, dict[str, str]]]:
    """Return all of the messages of a stream."""
    return [
        (
            each.metadata.sequence.stream,
            each.metadata.timestamp,
            each.subject,
            each.data,
            dict(each.headers or {}),
        )
        for each in await read_stream(client, stream, ">")
    ]


async def wait_for_copies(source: Client, mirror: Client) -> None:
    """Wait until the mirror has got the newest message of each stream."""

    async def last(client: Client, stream: str) -> int:
        subject = "$KV.UPLOADS.*" if stream == streams.UPLOADS.stream else ">"
        found = await read_stream(client, stream, subject)
        return found[-1].metadata.sequence.stream if found else 0

    for name in sorted(MIRRORED):

        async def is_copied(name: str = name) -> bool:
            return await last(mirror, name) == await last(source, name)

        await eventually(is_copied, f"{name} is copied", retry_on=TRANSIENT)


@asynccontextmanager
async def clients(servers: MirroredServers) -> AsyncGenerator[tuple[Client, Client]]:
    """Connect to the source and to the mirror."""
    async with (
        connected_client(servers.source.settings) as source,
        connected_client(servers.mirror.settings) as copy,
    ):
        yield source, copy


async def provision_both(source: Client, copy: Client) -> JetStreamContext:
    """Provision the streams and their mirrors; return JetStream of the source."""
    jetstream = source.jetstream(timeout=PATIENCE_S)
    await provision_bus(jetstream)
    await provision_mirrors(copy.jetstream(timeout=PATIENCE_S))
    return jetstream


async def test_a_mirror_has_what_its_source_has_also_after_the_link_was_cut(servers: MirroredServers) -> None:
    """The same messages with the same numbers, times and headers, but not the uploads that are not complete.

    While the link is cut the source goes on; then the mirror catches up. Provisioning again changes nothing.
    """
    async with clients(servers) as (source, copy):
        async with servers.link():
            jetstream = await provision_both(source, copy)
            await fill(jetstream)
            await wait_for_copies(source, copy)
        await publish_events(jetstream, EVENTS)
        assert len(await contents(copy, streams.EVENTS)) == EVENTS
        await provision_mirrors(copy.jetstream(timeout=PATIENCE_S))
        async with servers.link():
            await wait_for_copies(source, copy)
        for name in MIRRORED:
            expected = [each for each in await contents(source, name) if ".pending." not in each[2]]
            assert expected == await contents(copy, name), name
        assert len(await contents(copy, streams.EVENTS)) == 2 * EVENTS
        mirrors = await copy.jetstream(timeout=PATIENCE_S).streams_info()
        assert {each.config.name for each in mirrors} == MIRRORED
        for each in mirrors:
            original = (await jetstream.stream_info(each.config.name or "")).config
            assert limits(each.config) == limits(original)


def limits(config: StreamConfig) -> tuple[object, ...]:
    return config.max_age, config.max_bytes, config.max_msgs_per_subject, config.max_msg_size


async def test_the_mirror_reaches_nothing_else_of_the_source(servers: MirroredServers) -> None:
    """Its credential is for leaf nodes only; through it neither messages nor the API of the source are reached."""
    as_client = NatsSettings(url=servers.source.settings.url, creds=servers.source.keys.mirror_credentials)
    with pytest.raises(NatsError):
        async with connected_client(as_client, allow_reconnect=False, max_reconnect_attempts=1):
            pass
    async with clients(servers) as (source, copy), servers.link():
        jetstream = await provision_both(source, copy)
        arrived = await copy.subscribe(TRACK_UPLOADED.subject)
        await flush(copy)
        await fill(jetstream)
        await wait_for_copies(source, copy)
        assert arrived.pending_msgs == 0
        for api in ("INFO", f"STREAM.INFO.{streams.EVENTS}", f"CONSUMER.INFO.{streams.EVENTS}.{DEPLOY.name}"):
            with pytest.raises(NoRespondersError):
                await copy.request(f"$JS.{streams.DOMAIN}.API.{api}", b"", timeout=PATIENCE_S)


async def test_a_mirror_takes_over_when_its_source_is_lost(
    servers: MirroredServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Provisioning refuses to end a mirror. After the promotion and a restart all is as it was on the source.

    Streams have their configuration and messages and drop repeated ones, buckets work, waiting jobs are delivered, and
    events from the given time on.
    """
    async with clients(servers) as (source, copy), servers.link():
        jetstream = await provision_both(source, copy)
        await fill(jetstream)
        since = datetime.now(UTC)
        await publish_events(jetstream, EVENTS)
        await wait_for_copies(source, copy)
        before = {name: await contents(copy, name) for name in MIRRORED}
        configurations = {each.config.name: settled(each) for each in await jetstream.streams_info()}
        servers.source.kill()
        with pytest.raises(MirrorError, match="EVENTS is a mirror"):
            await provision_bus(copy.jetstream(timeout=PATIENCE_S))

    monkeypatch.setenv("K1_NATS_URL", servers.mirror.settings.url)
    monkeypatch.setenv("K1_NATS_CREDS", str(servers.mirror.settings.creds))
    monkeypatch.setenv("K1_MIRROR_SINCE", since.isoformat())
    for action in ("promote", "promote", "provision"):  # as when the Job of before is applied again
        monkeypatch.setenv("K1_MIRROR_ACTION", action)
        await mirror()
    servers.mirror.kill()
    servers.mirror.start(streams.DOMAIN, "")
    async with connected_client(servers.mirror.settings) as client:
        jetstream = client.jetstream(timeout=PATIENCE_S)
        await provision_bus(jetstream)
        assert {each.config.name: settled(each) for each in await jetstream.streams_info()} == configurations
        assert {name: await contents(client, name) for name in MIRRORED} == before
        await check_promoted(client, jetstream)


def settled(info: StreamInfo) -> object:
    """Return the configuration of a stream without what the server notes about its versions."""
    return info.config.evolve(metadata=None)


async def check_promoted(client: Client, jetstream: JetStreamContext) -> None:
    repeated = await jetstream.publish(
        TRACK_UPLOADED.subject, b"again", headers={"Nats-Msg-Id": f"event {EVENTS}"}
    )
    assert repeated.duplicate is True
    new = await jetstream.publish(TRACK_UPLOADED.subject, b"new")
    assert new.seq == 2 * EVENTS + 1
    uploads: KeyValue = await jetstream.key_value(streams.UPLOADS.name)
    assert await uploads.keys() == ["kept"]
    await uploads.create("another", b"value")
    job = await take_message(client, LANE.stream, LANE.name, timeout_s=PATIENCE_S)
    assert job is not None
    assert job.data == b"job"
    event = await take_message(client, CATALOGUE.stream, CATALOGUE.name, timeout_s=PATIENCE_S)
    assert event is not None
    assert event.data == b"%d" % EVENTS
    for durable in DURABLES:
        info = await jetstream.consumer_info(durable.stream, durable.name)
        assert info.config.max_deliver == durable.max_deliver


async def test_without_a_time_all_events_are_handled_again(servers: MirroredServers) -> None:
    """Each durable begins with the first message."""
    async with clients(servers) as (source, copy), servers.link():
        await fill(await provision_both(source, copy))
        await wait_for_copies(source, copy)
        last = await promote_mirrors(copy, copy.jetstream(timeout=PATIENCE_S))
        assert last[streams.EVENTS] == EVENTS
        event = await take_message(copy, CATALOGUE.stream, CATALOGUE.name, timeout_s=PATIENCE_S)
        assert event is not None
        assert event.data == b"0"
