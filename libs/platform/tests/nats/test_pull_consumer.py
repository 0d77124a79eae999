"""Messages of a consumer as they come, on a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig

from k1_platform.nats.streams import pull_consumer
from k1_platform.nats.streams.bulk import acknowledge, reject
from k1_platform.nats.streams.pull_consumer import PullConsumer, PullError, PullResult
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is held up still answers."""
    monkeypatch.setattr(pull_consumer, "_EXPIRY_TOLERANCE_S", 60.0)


@pytest.fixture
async def stream(jetstream: JetStreamContext, unique: str) -> AsyncIterator[str]:
    """A stream with a durable `d`; its name is its subject."""
    await jetstream.add_stream(StreamConfig(name=unique, subjects=[unique]))
    await jetstream.add_consumer(unique, ConsumerConfig(durable_name="d", max_ack_pending=5, ack_wait=600))
    yield unique
    await jetstream.delete_stream(unique)


async def test_messages_come_at_once_and_in_order(
    nats_client: Client, jetstream: JetStreamContext, stream: str
) -> None:
    """Not when a batch is full or a request ends."""
    async with PullConsumer(nats_client, stream, "d", batch=100, open_s=600) as puller:
        waiting = asyncio.create_task(puller.next())
        await asyncio.sleep(0.05)
        await jetstream.publish(stream, b"1")
        async with asyncio.timeout(120):  # the request is open for longer
            pulled = await waiting
        assert ([message.data for message in pulled.messages], pulled.complete_until_s) == ([b"1"], None)


async def test_more_than_one_batch_is_asked_for(
    nats_client: Client, jetstream: JetStreamContext, stream: str
) -> None:
    """Each request ends when it is full, and the next follows."""
    for number in range(10):
        await jetstream.publish(stream, b"%d" % number)
    got: list[bytes] = []
    async with PullConsumer(nats_client, stream, "d", batch=3, open_s=60) as puller:
        while len(got) < 10:
            for message in (await puller.next()).messages:
                got.append(message.data)
                await message.ack()
    assert got == [b"%d" % number for number in range(10)]


async def test_it_says_when_all_was_handed_over(
    nats_client: Client, jetstream: JetStreamContext, stream: str
) -> None:
    """A request that ends empty proves that nothing was left when it was sent, and not that nothing is now."""
    await jetstream.publish(stream, b"1")
    async with PullConsumer(nats_client, stream, "d", open_s=0.1) as puller:
        began = time.monotonic()
        pulled = await puller.next()
        while pulled.complete_until_s is None:
            pulled = await puller.next()
        assert began <= pulled.complete_until_s <= time.monotonic() - 0.09


async def test_what_waits_for_acknowledgement_is_not_handed_over(
    nats_client: Client, jetstream: JetStreamContext, stream: str
) -> None:
    """At the limit of unacknowledged messages the broker holds back, and that all came is not claimed."""
    for number in range(6):
        await jetstream.publish(stream, b"%d" % number)
    async with PullConsumer(nats_client, stream, "d", open_s=0.1) as puller:

        async def next_messages() -> list[Msg]:
            return (await puller.next()).messages

        messages = await next_messages()
        while len(messages) < 5:
            messages += await next_messages()
        for _ in range(5):
            assert await puller.next() == PullResult([], None)
        await acknowledge(nats_client, [message.reply for message in messages])
        more = await eventually(next_messages, "the sixth message")
        assert [message.data for message in more] == [b"5"]
        await reject(nats_client, [message.reply for message in (*messages, *more)])
        again = await eventually(next_messages, "the one that was not acknowledged")
        assert [message.data for message in again] == [b"5"]


async def test_a_consumer_that_is_not_there_is_an_error(nats_client: Client, stream: str) -> None:
    """Raised at once, and again at the next call."""
    async with PullConsumer(nats_client, stream, "nobody", open_s=600) as puller:
        for _ in range(2):
            async with asyncio.timeout(120):
                with pytest.raises(PullError, match="refuses"):
                    await puller.next()
