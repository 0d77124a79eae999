"""Positions: moving between gateways, gaps, the history, and ids as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k1_gateway.feed.event import FeedEvent
from k1_gateway.feed.event_types import type_of
from k1_gateway.feed.feed import Client
from k1_gateway.feed.history import History
from k1_gateway.feed.position import Position
from services.gateway.tests import samples
from services.gateway.tests.feed.in_memory import Gateway, drain, receive

Step = st.tuples(st.integers(0, 1), st.sampled_from(["event", "sample", "read", "cut", "idle"]))


@given(st.lists(Step, max_size=120), st.integers(0, 5))
async def test_a_client_that_moves_between_gateways_gets_everything_once(
    steps: list[tuple[int, str]], lost: int
) -> None:
    """Two gateways read the streams in different interleavings and at different speeds. A client loses its connection
    at any point, with events on their way, and comes back to either: nothing is missing, nothing comes twice."""
    gateways = [Gateway(), Gateway()]
    received: list[tuple[bool, int]] = []
    ids: list[str] = []
    at = gateways[0]
    client = Client("sse")
    at.feed.start(client, [f"track:{samples.TRACK}"], None)
    for which, step in steps:
        gateway = gateways[which]
        if step in {"event", "sample"}:
            gateway.read_one(is_sample=step == "sample")
        elif step == "read":
            receive(drain(client), received, ids)
        elif step == "idle":
            receive(drain(client), received, ids)
            position = at.feed.idle_position(client)
            assert position is not None
            ids.append(str(position))
        else:
            arrived = drain(client)
            receive(arrived[: max(len(arrived) - lost, 0)], received, ids)
            at.feed.unsubscribe(client, set(client.topics))
            last = Position.parse(ids[-1]) if ids else Position(0, 0)
            at, client = gateway, Client("sse")
            gateway.read_up_to(last)
            at.feed.start(client, [f"track:{samples.TRACK}"], last)
    newest = Position(
        max(gateway.read[0] for gateway in gateways), max(gateway.read[1] for gateway in gateways)
    )
    at.read_up_to(newest)
    receive(drain(client), received, ids)
    assert [number for is_durable, number in received if is_durable] == list(range(1, newest.event + 1))
    assert [number for is_durable, number in received if not is_durable] == list(range(1, newest.sample + 1))
    assert ids == sorted(ids)


async def test_a_client_learns_that_events_are_lost() -> None:
    """An id that is too old, or from another broker, gets `gap`, and then what comes from now on."""
    gateway = Gateway()
    gateway.feed.restart("events", 5)
    gateway.feed.restart("samples", 9)
    gateway.read = [5, 9]
    for is_sample in (False, True, True):
        gateway.read_one(is_sample)
    gateway.feed._ready.clear()
    for after, lost, resumed in (
        (Position(4, 9), ["events"], Position(6, 9)),
        (Position(6, 3), ["samples"], Position(6, 9)),
        (Position(99, 11), ["events"], Position(6, 11)),
        (Position(5, 99), ["samples"], Position(5, 11)),
        (Position(0, 0), ["events", "samples"], Position(6, 9)),
    ):
        client = Client("poll")
        gateway.feed.start(client, ["activity", "device:k1-a"], after)
        batch = client.queue.take()
        assert [gap.missed for gap in batch.gaps] == lost, after
        assert {gap.resumed_at for gap in batch.gaps} == {resumed}
        assert [event.sequence for _, event in batch.events if event.is_durable] == (
            [6] if resumed.event == 5 else []
        )
        assert [event.sequence for _, event in batch.events if not event.is_durable] == list(
            range(resumed.sample + 1, 12)
        )


async def test_a_stream_that_starts_anew_sends_the_clients_away() -> None:
    gateway = Gateway()
    with gateway.feed.client("sse") as client:
        gateway.feed.start(client, ["activity"], None)
        gateway.feed.restart("events", 0)
        assert client.close_reason == "feed_restarted"


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(1, 20), st.integers(20, 200))
def test_the_history_is_bounded_and_knows_what_it_lacks(sizes: list[int], most: int, most_bytes: int) -> None:
    """It holds the newest, all of them after `complete_after`."""
    history = History(most, most_bytes)
    kind = type_of("track.uploaded")
    assert kind
    for number, size in enumerate(sizes, 1):
        history.add(FeedEvent(kind, ("activity",), Position(number, 0), number, b"x" * size))
    kept = history.after(0)
    assert len(kept) <= most
    assert sum(len(event.json) for event in kept) <= most_bytes
    assert [event.sequence for event in kept] == list(range(history.complete_after + 1, len(sizes) + 1))
    for after in range(history.complete_after, len(sizes) + 1):
        assert [event.sequence for event in history.after(after)] == list(range(after + 1, len(sizes) + 1))


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_ids_are_read_as_they_are_written(event: int, sample: int) -> None:
    assert Position.parse(str(Position(event, sample))) == Position(event, sample)


@pytest.mark.parametrize(
    "text", ["", "1-2", "0" * 25, "x" * 12 + "-" + "0" * 12, "0" * 12 + "-" + "0" * 12 + "\n"]
)
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        Position.parse(text)
