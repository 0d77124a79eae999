"""The outbox and the inbox, on real PostgreSQL and NATS."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from nats.js import JetStreamContext
from prometheus_client import CollectorRegistry, Gauge

from k1_contracts.actors import Actor
from k1_contracts.descriptors import Event
from k1_contracts.envelope import Envelope
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import AnalysisCancelled
from k1_contracts.streams import EVENTS
from k1_platform.nats.actors import acting_as
from k1_platform.nats.streams.publisher import make_message
from k1_platform.postgres.inbox import mark_handled
from k1_platform.postgres.maintenance import Maintenance
from k1_platform.postgres.message_tables import message_table_statements
from k1_platform.postgres.outbox import OutboxRelay, enqueue
from k1_platform.postgres.pool import Connection, Pool, open_pool
from k1_platform.settings import PostgresSettings
from tests.support.bus import connected_bus
from tests.support.waiting import eventually


@pytest.fixture
async def pool(provisioned: object) -> AsyncIterator[Pool]:
    """Connect to the database of the test servers."""
    async with await open_pool(PostgresSettings(), "test") as pool:
        yield pool


@pytest.fixture
async def schema(pool: Pool, unique: str) -> AsyncIterator[str]:
    """Create a schema with an outbox and an inbox; return its name."""
    name = f"t{unique}"
    for statement in (f"CREATE SCHEMA {name}", *message_table_statements(name)):
        await pool.execute(statement)
    yield name
    await pool.execute(f"DROP SCHEMA {name} CASCADE")


def _event(unique: str) -> Event[AnalysisCancelled]:
    return Event(
        f"track.t{unique}",
        AnalysisCancelled,
        summary="An event of this test",
        senders=("test",),
        stream=EVENTS,
        subject_id=lambda event: event.track_id,
        time=lambda event: event.cancelled_at,
        key=lambda event: f"{unique}/{event.version}",
    )


def _body(number: int) -> AnalysisCancelled:
    return AnalysisCancelled(
        job_id=new_id("job"), track_id=new_id("trk"), version=number, cancelled_at=datetime.now(UTC)
    )


async def _stored(jetstream: JetStreamContext, subject: str, count: int) -> list[bytes]:
    """Wait for messages on a subject; return the bodies of the first."""

    async def all_stored() -> bool:
        state = (await jetstream.stream_info(EVENTS, subjects_filter=subject)).state
        return (state.subjects or {}).get(subject, 0) >= count

    await eventually(all_stored, f"{count} messages on {subject}", interval_s=0.01)
    subscription = await jetstream.subscribe(subject, ordered_consumer=True)
    return [(await subscription.next_msg(timeout=60)).data for _ in range(count)]


@asynccontextmanager
async def running_relays(pool: Pool, schema: str, count: int) -> AsyncGenerator[None]:
    """Run relays of the outbox until the block ends."""
    async with connected_bus() as bus:
        relays = [asyncio.create_task(OutboxRelay(pool, bus.broker, schema).run()) for _ in range(count)]
        try:
            yield
        finally:
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)


async def wait_for_empty_outbox(pool: Pool, schema: str) -> None:
    async def empty() -> bool:
        return await pool.fetchval(f"SELECT count(*) FROM {schema}.outbox") == 0

    await eventually(empty, "the outbox is empty", interval_s=0.01)


async def test_committed_events_are_published_in_order_and_once(
    pool: Pool, schema: str, jetstream: JetStreamContext, unique: str
) -> None:
    """Two relays publish each of 1,200 events once, in the order of the commits; a rollback publishes none."""
    event = _event(unique)
    bodies = [_body(number) for number in range(1, 1201)]
    async with running_relays(pool, schema, 2), pool.acquire() as connection:
        for start in range(0, len(bodies), 100):
            async with connection.transaction():
                for body in bodies[start : start + 100]:
                    await enqueue(connection, schema, event, body, source="test")
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await enqueue(connection, schema, event, _body(9999), source="test")
                raise ZeroDivisionError
        stored = await _stored(jetstream, event.subject, len(bodies))
        assert stored == [body.to_json() for body in bodies]
        await wait_for_empty_outbox(pool, schema)


async def test_a_relay_that_died_between_publish_and_delete_repeats_without_harm(
    pool: Pool, schema: str, jetstream: JetStreamContext, unique: str
) -> None:
    """A row that is published twice is one message, because the stream deduplicates by its id."""
    event, body = _event(unique), _body(1)
    outgoing = make_message(event, body, source="test")
    await jetstream.publish(outgoing.subject, outgoing.body, headers=outgoing.headers, stream=EVENTS)
    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, schema, event, body, source="test")
    async with running_relays(pool, schema, 1):
        await wait_for_empty_outbox(pool, schema)
    state = (await jetstream.stream_info(EVENTS, subjects_filter=event.subject)).state
    assert state.subjects == {event.subject: 1}


async def test_an_effect_happens_once(pool: Pool, schema: str) -> None:
    """A second delivery of an event is detected; a first one that was rolled back does not count."""
    async with pool.acquire() as connection:
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                assert await mark_handled(connection, schema, "c", "evt_1")
                raise ZeroDivisionError
        async with connection.transaction():
            assert await mark_handled(connection, schema, "c", "evt_1")
        async with connection.transaction():
            assert not await mark_handled(connection, schema, "c", "evt_1")
            assert await mark_handled(connection, schema, "other", "evt_1")


async def test_the_actor_travels_through_the_outbox(
    pool: Pool, schema: str, jetstream: JetStreamContext, unique: str
) -> None:
    """It is that of the transaction, whoever runs the relay later."""
    event, actor = _event(unique), Actor(kind="user", id="usr_1", name="Änne", role="editor")
    async with running_relays(pool, schema, 1), pool.acquire() as connection:
        for number, sender in enumerate((actor, None), start=1):
            async with connection.transaction():
                with acting_as(sender):
                    await enqueue(connection, schema, event, _body(number), source="test")
        await wait_for_empty_outbox(pool, schema)
    subscription = await jetstream.subscribe(event.subject, ordered_consumer=True)
    headers = [(await subscription.next_msg(timeout=60)).headers or {} for _ in range(2)]
    assert [Envelope.from_headers(each).actor for each in headers] == [actor, None]


async def test_the_age_of_what_waits_is_measured(pool: Pool, schema: str, unique: str) -> None:
    """The oldest event counts; the name of the gauge has the schema."""

    async def count(_: Connection) -> dict[str, int]:
        return {"waiting": 2}

    registry, at = CollectorRegistry(), datetime.now(UTC)
    gauge = Gauge("k1_things", "Things by status", ["status"], registry=registry)
    async with pool.acquire() as connection, connection.transaction():
        for minutes in (10, 1):
            body = _body(minutes).model_copy(update={"cancelled_at": at - timedelta(minutes=minutes)})
            await enqueue(connection, schema, _event(unique), body, source="test")
    running = asyncio.create_task(Maintenance(pool, schema, registry, gauge, count).run())
    try:
        name = f"k1_{schema}_outbox_age_seconds"
        age_s = await eventually(lambda: registry.get_sample_value(name), "the outbox is measured")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert 600 <= age_s < 700
    assert registry.get_sample_value(f"k1_{schema}_outbox_events") == 2
    assert registry.get_sample_value("k1_things", {"status": "waiting"}) == 2


async def test_nothing_is_published_while_a_backup_copies_the_bus(
    pool: Pool, schema: str, unique: str, jetstream: JetStreamContext
) -> None:
    """An event that is committed meanwhile waits in the outbox, which is copied after the bus; then it is published."""
    event, frozen, asked = _event(unique), True, asyncio.Event()

    async def is_frozen() -> bool:
        asked.set()
        return frozen

    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, schema, event, _body(1), source="test")
    async with connected_bus() as bus:
        relay = asyncio.create_task(OutboxRelay(pool, bus.broker, schema, is_frozen).run())
        try:
            for _ in range(2):  # it was asked twice, so it has passed over the event once
                asked.clear()
                await asyncio.wait_for(asked.wait(), 60)
            assert await pool.fetchval(f"SELECT count(*) FROM {schema}.outbox") == 1
            frozen = False
            await _stored(jetstream, event.subject, 1)
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)
