"""The queue of a client: bounded, in order, and passed by only when it is empty."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from k1_gateway.feed.client_queue import ClientQueue
from k1_gateway.feed.event import FeedEvent
from k1_gateway.feed.event_types import type_of
from k1_gateway.feed.feed import TOO_SLOW, Client
from k1_gateway.feed.position import Position
from services.gateway.tests import samples
from services.gateway.tests.feed.in_memory import Gateway, drain, reading, receive, uploaded


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
async def test_a_full_queue_drops_the_oldest_samples_and_never_an_event(
    are_events: list[bool], size: int
) -> None:
    """What is dropped is counted; a queue full of events is overflown, and the connection ends."""
    queue = ClientQueue(size)
    queue.start(Position(0, 0))
    kind = {True: type_of("track.uploaded"), False: type_of("live.telemetry.k1-a")}
    position = Position(0, 0)
    offered: list[FeedEvent] = []
    for order, is_event in enumerate(are_events):
        position = Position(position.event + is_event, position.sample + (not is_event))
        found = kind[is_event]
        assert found
        event = FeedEvent(found, ("activity",), position, order, b"{}")
        queue.offer(event)
        offered.append(event)
    events = [event for event in offered if event.is_durable]
    assert queue.is_overflown == (len(events) > size)
    batch = queue.take(1000)
    kept = [event for _, event in batch.events]
    assert len(kept) <= size
    assert [event for event in kept if event.is_durable] == events[:size]
    assert kept == sorted(kept, key=lambda event: event.order)
    if not queue.is_overflown:
        assert batch.dropped == len(offered) - len(kept)
        dropped = [event for event in offered if event not in kept]
        kept_samples = [event for event in kept if not event.is_durable]
        later = [event for event in dropped if kept_samples and event.order > kept_samples[0].order]
        assert not later or len(events) >= size


class Connection:
    """Writes events at once, as the WebSocket does, while it is not blocked and its writer has nothing to do."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.is_blocked = False
        self.received: list[tuple[bool, int]] = []
        self.ids: list[str] = []
        client.send_now = self.send_now

    def send_now(self, events: list[FeedEvent]) -> bool:
        if self.is_blocked:
            return False
        receive([(self.client.queue.pass_by(event), event) for event in events], self.received, self.ids)
        return True


@given(
    st.lists(
        st.one_of(
            st.lists(st.booleans(), min_size=1, max_size=4), st.sampled_from(["block", "unblock", "write"])
        ),
        max_size=60,
    )
)
async def test_what_is_sent_at_once_never_passes_what_waits(steps: list[list[bool] | str]) -> None:
    """A client gets everything once and in order, by the short way and by its queue; nobody is woken for the first."""
    gateway, client = Gateway(), Client("websocket")
    gateway.feed.start(client, ["activity", f"track:{samples.TRACK}"], None)
    connection = Connection(client)
    sent: list[tuple[bool, int]] = []
    for step in [*steps, "write"]:
        if isinstance(step, list):
            waited = client.queue.changed.is_set()
            for is_sample, messages in groupby(step):
                count = len(list(messages))
                numbers = range(gateway.read[is_sample] + 1, gateway.read[is_sample] + count + 1)
                gateway.read[is_sample] += count
                make = reading if is_sample else uploaded
                gateway.feed.add("samples" if is_sample else "events", *map(make, numbers))
                sent += [(not is_sample, number) for number in numbers]
            assert client.queue.changed.is_set() == (waited or connection.is_blocked)
        elif step == "write":
            receive(drain(client), connection.received, connection.ids)
        else:
            connection.is_blocked = step == "block"
    assert connection.received == sent
    assert connection.ids == sorted(connection.ids)


async def test_an_overflown_client_is_sent_away() -> None:
    gateway = Gateway()
    with gateway.feed.client("websocket") as client:
        client.queue = ClientQueue(2)
        gateway.feed.start(client, ["activity"], None)
        for _ in range(3):
            gateway.read_one(is_sample=False)
        assert client.close_reason == TOO_SLOW
