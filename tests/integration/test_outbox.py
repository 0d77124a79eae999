"""Outbox and inbox, on real PostgreSQL and NATS."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.js import JetStreamContext
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import AnalysisCancelled
from k1_contracts.streams import EVENTS
from k1_platform.broker import connect, make_broker, make_event
from k1_platform.database import Pool, open_pool
from k1_platform.inbox import first_time
from k1_platform.outbox import OutboxRelay, enqueue
from k1_platform.settings import NatsSettings, PostgresSettings


@pytest.fixture
async def pool(provisioned: object) -> AsyncIterator[Pool]:
    pool = await open_pool(PostgresSettings(), "test")
    yield pool
    await pool.close()


@pytest.fixture
async def schema(pool: Pool, unique: str) -> AsyncIterator[str]:
    name = f"t{unique}"
    await pool.execute(
        f"""CREATE SCHEMA {name};
        CREATE TABLE {name}.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL,
            subject text NOT NULL, headers jsonb NOT NULL, body bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now());
        CREATE TABLE {name}.inbox (consumer text, event_id text,
            handled_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (consumer, event_id));"""
    )
    yield name
    await pool.execute(f"DROP SCHEMA {name} CASCADE")


def _event(number: int, unique: str):
    from datetime import UTC, datetime

    body = AnalysisCancelled(
        job_id=new_id("job"), track_id=new_id("trk"), version=number, cancelled_at=datetime.now(UTC)
    )
    return make_event(f"track.t{unique}", body, source="test", about=body.track_id, key=f"{unique}/{number}")


async def _stored(jetstream: JetStreamContext, subject: str, count: int) -> list[bytes]:
    async with asyncio.timeout(120):
        while True:
            state = (await jetstream.stream_info(EVENTS, subjects_filter=subject)).state
            if (state.subjects or {}).get(subject, 0) >= count:
                break
            await asyncio.sleep(0.01)
    subscription = await jetstream.subscribe(subject, ordered_consumer=True)
    return [(await subscription.next_msg(timeout=60)).data for _ in range(count)]


async def test_what_is_committed_is_published_in_order_and_once(
    pool: Pool, schema: str, jetstream: JetStreamContext, unique: str
) -> None:
    """Two relays, 1,200 events: each is on the stream once, in the order of the commits; a rollback sends none."""
    subject = f"track.t{unique}"
    events = [_event(number, unique) for number in range(1, 1201)]
    broker = make_broker(
        NatsSettings(), service="test", registry=CollectorRegistry(), tracer_provider=TracerProvider()
    )
    await connect(broker)
    relays = [asyncio.create_task(OutboxRelay(pool, broker, schema).run()) for _ in range(2)]
    async with pool.acquire() as connection:
        for start in range(0, len(events), 100):
            async with connection.transaction():
                for envelope, body in events[start : start + 100]:
                    await enqueue(connection, schema, envelope, body, subject=subject, stream=EVENTS)
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await enqueue(connection, schema, *_event(9999, unique), subject=subject, stream=EVENTS)
                raise ZeroDivisionError
    assert await _stored(jetstream, subject, len(events)) == [body for _, body in events]
    async with asyncio.timeout(120):
        while await pool.fetchval(f"SELECT count(*) FROM {schema}.outbox"):
            await asyncio.sleep(0.01)
    for relay in relays:
        relay.cancel()
    await asyncio.gather(*relays, return_exceptions=True)
    await broker.stop()


async def test_a_relay_that_died_between_publish_and_delete_repeats_without_harm(
    pool: Pool, schema: str, jetstream: JetStreamContext, unique: str
) -> None:
    """The same row published twice is one message: the stream knows its id."""
    envelope, body = _event(1, unique)
    subject = f"track.t{unique}"
    await jetstream.publish(subject, body, headers=envelope.headers(), stream=EVENTS)
    broker = make_broker(
        NatsSettings(), service="test", registry=CollectorRegistry(), tracer_provider=TracerProvider()
    )
    await connect(broker)
    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, schema, envelope, body, subject=subject, stream=EVENTS)
    relay = asyncio.create_task(OutboxRelay(pool, broker, schema).run())
    async with asyncio.timeout(120):
        while await pool.fetchval(f"SELECT count(*) FROM {schema}.outbox"):
            await asyncio.sleep(0.01)
    state = (await jetstream.stream_info(EVENTS, subjects_filter=subject)).state
    assert state.subjects == {subject: 1}
    relay.cancel()
    await asyncio.gather(relay, return_exceptions=True)
    await broker.stop()


async def test_an_effect_happens_once(pool: Pool, schema: str) -> None:
    """The second delivery of an event is recognised; a rolled-back first one is not counted."""
    async with pool.acquire() as connection:
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                assert await first_time(connection, schema, "c", "evt_1")
                raise ZeroDivisionError
        async with connection.transaction():
            assert await first_time(connection, schema, "c", "evt_1")
        async with connection.transaction():
            assert not await first_time(connection, schema, "c", "evt_1")
            assert await first_time(connection, schema, "other", "evt_1")
