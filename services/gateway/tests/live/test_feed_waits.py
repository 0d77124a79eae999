"""What a client of the feed gets while it waits: heartbeats, and the event that ends a poll."""

import asyncio

import pytest

from k1_gateway.feed.feed import Client
from k1_gateway.feed.position import Position
from k1_gateway.live import feed_poll, feed_requests, feed_stream
from services.gateway.tests.feed.in_memory import Gateway
from tests.support.waiting import PATIENCE_S


async def test_a_quiet_client_is_told_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat moves the last id past the events of other topics; one with something to send does not."""
    monkeypatch.setattr(feed_requests, "HEARTBEAT_S", 0.001)
    gateway, client = Gateway(), Client("sse")
    gateway.feed.start(client, ["jobs"], None)
    chunks = feed_stream._chunks(gateway.feed, client)
    assert await anext(chunks) == b": connected\nretry: 2000\nid: 000000000000-000000000000\n\n"
    gateway.read_one(is_sample=False)
    for _ in range(2):
        assert await anext(chunks) == b": heartbeat\nid: 000000000001-000000000000\n\n"
    waiting = Client("sse")
    late = feed_stream._chunks(gateway.feed, waiting)
    gateway.feed.start(waiting, ["activity"], Position(0, 0))
    assert await anext(late) == b": connected\nretry: 2000\n\n", "its last id must not pass what waits"
    assert (await anext(late)).startswith(b"id: 000000000001-000000000000\ndata: {")
    await late.aclose()
    await chunks.aclose()


async def test_an_event_that_comes_before_the_wait_ends_it() -> None:
    """The wait of a poll begins in a task of its own, a moment after the queue was found empty."""
    gateway, client = Gateway(), Client("poll")
    gateway.feed.start(client, ["activity"], Position(0, 0))
    assert client.queue.is_empty
    assert not client.queue.changed.is_set()
    gateway.read_one(is_sample=False)
    async with asyncio.timeout(PATIENCE_S):
        await feed_poll._wait(client, 2 * PATIENCE_S)
