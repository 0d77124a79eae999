"""Failing messages become dead letters, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from faststream.nats import NatsMessage
from nats.js import JetStreamContext
from prometheus_client import CollectorRegistry, generate_latest

from k1_contracts import streams
from k1_contracts.actors import Actor
from k1_contracts.base import Contract
from k1_contracts.descriptors import Command
from k1_contracts.durables import Durable
from k1_contracts.ids import new_id
from k1_contracts.messages.analysis import JOB_PROGRESSED
from k1_platform.errors import PermanentError, TransientError
from k1_platform.nats.actors import acting_as, current_actor
from k1_platform.nats.administration.provision import consumer_config
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.dead_letters import middleware
from k1_platform.nats.dead_letters.message import HEADER_PREFIX, Failure, publish_dead_letter
from k1_platform.nats.dead_letters.queue import (
    DeadLetter,
    DeadLetterNotFoundError,
    count_dead_letters,
    list_dead_letters,
    purge_dead_letters,
    redrive_dead_letter,
    show_dead_letter,
)
from k1_platform.nats.dead_letters.relay import subscribe_dead_letter_relay
from k1_platform.nats.streams.consumers import Delivery, Handler, consume, consume_table
from k1_platform.nats.streams.publisher import publish
from tests.support.bus import connected_bus
from tests.support.waiting import PATIENCE_S, eventually


@pytest.fixture
async def bus(provisioned: object) -> AsyncIterator[Bus]:
    """Connect the platform's bus; a test starts its broker."""
    async with connected_bus() as bus:
        yield bus


@pytest.fixture
async def durable(
    jetstream: JetStreamContext, unique: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Durable]:
    """Create a durable on EVENTS for one test; delete it at the end."""
    made = Durable(
        streams.EVENTS, f"t-{unique}", (f"track.t{unique}",), ack_wait=timedelta(minutes=5), max_deliver=3
    )
    monkeypatch.setitem(middleware._max_deliver, made.name, made.max_deliver)
    await jetstream.add_consumer(made.stream, consumer_config(made))
    yield made
    await jetstream.delete_consumer(made.stream, made.name)


RawHandler = Callable[[NatsMessage], Awaitable[None]]


async def _consume_one(bus: Bus, durable: Durable, handler: RawHandler, body: bytes) -> None:
    consume(bus.broker, durable, handler, workers=2)
    await bus.broker.start()
    headers = {"ce-id": "evt_1", "Nats-Msg-Id": new_id("evt")}
    await bus.jetstream.publish(durable.filters[0], body, headers=headers, timeout=60)


async def _letter_of(jetstream: JetStreamContext, durable: str) -> DeadLetter:
    """Wait for a dead letter of a durable."""

    async def letter() -> DeadLetter | None:
        letters = await list_dead_letters(jetstream)
        return next((letter for letter in letters if letter.durable == durable), None)

    return await eventually(letter, f"a dead letter of {durable}")


async def test_a_permanent_error_makes_a_dead_letter_at_once(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """After one attempt there is a dead letter with the bytes, the headers and the reason."""
    attempts: list[bytes] = []

    async def fail(message: NatsMessage) -> None:
        attempts.append(message.body)
        raise PermanentError("bad_song", "line one\nline two")

    await _consume_one(bus, durable, fail, b'{"a": 1}')
    letter = await _letter_of(jetstream, durable.name)
    assert (letter.code, letter.reason, letter.attempts) == ("bad_song", "line one line two", 1)
    assert (letter.body, letter.subject, letter.headers["ce-id"]) == (
        b'{"a": 1}',
        durable.filters[0],
        "evt_1",
    )
    assert attempts == [b'{"a": 1}']


async def test_no_text_prevents_a_dead_letter(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """A reason that is not UTF-8 and a header that our client could not send are stored in readable form."""

    async def fail(_: NatsMessage) -> None:
        raise PermanentError("bad_song", "caf\udce9 \x1b[31m [/x] été")

    consume(bus.broker, durable, fail, workers=2)
    await bus.broker.start()
    headers = "NATS/1.0\r\nce-id: evt_1\r\nodd(name): x\r\nauthor: José\r\n\r\n".encode()
    sizes = f"HPUB {durable.filters[0]} {len(headers)} {len(headers) + 2}\r\n"
    await bus.client._send_command(sizes.encode() + headers + b"{}\r\n")
    await bus.client.flush()
    letter = await _letter_of(jetstream, durable.name)
    assert letter.reason == "caf\\xe9 \\x1b[31m [/x] été"
    assert (letter.headers["ce-id"], letter.headers["author"]) == ("evt_1", "José")


async def test_a_transient_error_is_retried_to_the_limit(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """After as many attempts as the durable allows there is a dead letter."""
    attempts = 0

    async def fail(_: NatsMessage) -> None:
        nonlocal attempts
        attempts += 1
        raise TransientError("the database is away")

    await _consume_one(bus, durable, fail, b"{}")
    letter = await _letter_of(jetstream, durable.name)
    assert (letter.code, letter.attempts, attempts) == ("dependency_failed", 3, 3)


async def test_a_retry_that_succeeds_leaves_no_dead_letter(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """A message that succeeds at its second attempt is done."""
    attempts = 0
    done = asyncio.Event()

    async def fail_once(_: NatsMessage) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise TransientError("once")
        done.set()

    await _consume_one(bus, durable, fail_once, b"{}")
    await asyncio.wait_for(done.wait(), 120)
    assert not [letter for letter in await list_dead_letters(jetstream) if letter.durable == durable.name]


async def test_the_delivery_limit_of_the_broker_makes_a_dead_letter(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """A message whose consumer died at every attempt becomes a dead letter, with its headers unchanged."""
    quick = replace(durable, name=f"{durable.name}-x", ack_wait=timedelta(seconds=0.2), max_deliver=1)
    await jetstream.add_consumer(quick.stream, consumer_config(quick))
    await jetstream.publish(
        durable.filters[0], b'{"lost": true}', headers={"ce-id": "evt_2", "author": "José"}
    )
    taken = await jetstream.pull_subscribe_bind(durable=quick.name, stream=quick.stream)
    await taken.fetch(1, timeout=60)
    subscribe_dead_letter_relay(bus)
    await bus.broker.start()
    # The server notices the expired delivery when the consumer is asked again.
    with pytest.raises(TimeoutError):
        await taken.fetch(1, timeout=1)
    letter = await _letter_of(jetstream, quick.name)
    assert (letter.code, letter.body, letter.headers["ce-id"]) == ("given_up", b'{"lost": true}', "evt_2")
    assert letter.headers["author"] == "José"
    await jetstream.delete_consumer(quick.stream, quick.name)


@pytest.mark.parametrize(
    ("stream", "durable", "subject"),
    [("EVENTS", "catalogue", "track.uploaded"), ("DEVICES", "deploy-devices", "device.A.hello")],
)
async def test_redriving_reaches_only_the_durable_that_failed(
    jetstream: JetStreamContext, stream: str, durable: str, subject: str
) -> None:
    """A dead letter is published on the redrive subject of its durable, and deleted; also where nothing is confirmed."""
    # Other tests of this process may have left letters of the durable.
    await jetstream.purge_stream(streams.DEAD_LETTERS)
    failure = Failure("bad", "why", permanent=True, attempts_allowed=1)
    await publish_dead_letter(
        jetstream._nc,
        data=b"{}",
        headers={"ce-id": "evt_3"},
        origin=(stream, durable, 7_000_007, subject),
        failure=failure,
        attempts=1,
    )
    letter = await _letter_of(jetstream, durable)
    await redrive_dead_letter(jetstream, letter.number)
    again = await jetstream.get_last_msg(stream, f"redrive.{durable}.{subject}")
    assert again.headers
    assert (again.data, again.headers["ce-id"]) == (b"{}", "evt_3")
    assert not [name for name in again.headers if name.startswith(HEADER_PREFIX)]
    with pytest.raises(DeadLetterNotFoundError, match="k1 dlq list"):
        await show_dead_letter(jetstream, letter.number)
    await jetstream.purge_stream(stream, subject="redrive.>")


async def test_purging_empties_the_stream(jetstream: JetStreamContext) -> None:
    """A purge returns how many dead letters it has deleted."""
    failure = Failure("bad", "why", permanent=True, attempts_allowed=1)
    for sequence in (100, 101):
        await publish_dead_letter(
            jetstream._nc,
            data=b"{}",
            headers={},
            origin=("EVENTS", "x", sequence, "track.uploaded"),
            failure=failure,
            attempts=1,
        )
    before = await count_dead_letters(jetstream)
    assert await purge_dead_letters(jetstream) == before >= 2
    assert await list_dead_letters(jetstream) == []


async def test_metrics_name_no_ids(provisioned: object) -> None:
    """All subjects that differ only in ids are one series."""
    registry = CollectorRegistry()
    async with connected_bus(registry=registry) as bus:
        for _ in range(5):
            await bus.broker.publish(b"{}", JOB_PROGRESSED.subject_for(new_id("job")))
        await bus.broker.publish(b"{}", "telemetry.k1-left")
    text = generate_latest(registry).decode()
    assert 'destination="live.job.*"' in text
    assert 'destination="telemetry.*"' in text
    assert "job_0" not in text
    assert "k1-left" not in text


class _Order(Contract):
    id: str


async def test_a_command_of_a_lower_role_is_a_dead_letter(
    bus: Bus, durable: Durable, jetstream: JetStreamContext
) -> None:
    """The consumer checks the role that the command demands; with it, the handler acts as the sender."""
    command = Command(
        durable.filters[0],
        _Order,
        summary="An order of this test",
        senders=("test",),
        stream=streams.EVENTS,
        subject_id=lambda order: order.id,
        time=lambda _: datetime.now(UTC),
        role="operator",
    )
    handled: list[Actor | None] = []
    done = asyncio.Event()

    async def handle(_delivery: Delivery[_Order]) -> None:
        handled.append(current_actor())
        done.set()

    consume_table(bus.broker, durable, [Handler(command, handle)], workers=1)
    await bus.broker.start()
    editor = Actor(kind="user", id="usr_1", name="Ann", role="editor")
    operator = editor.model_copy(update={"role": "operator"})
    for number, sender in enumerate((editor, operator)):
        with acting_as(sender):
            await publish(bus.broker, command, _Order(id=f"{durable.name}-{number}"), source="test")
    letter = await _letter_of(jetstream, durable.name)
    assert letter.code == "role_required"
    assert "needs the role operator; Ann is editor" in letter.reason
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    assert handled == [operator]
