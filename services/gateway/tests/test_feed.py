"""The live feed inside one gateway: positions, history, the queue of a client, and moving between gateways."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from k1_contracts.actors import Actor
from k1_contracts.envelope import ACTOR_HEADER
from k1_gateway.feed.client_queue import ClientQueue
from k1_gateway.feed.event import FeedEvent, pack_times, unpack_times
from k1_gateway.feed.event_types import DURABLE_TYPES, SAMPLE_TYPES, type_of
from k1_gateway.feed.feed import TOO_SLOW, Client, Feed
from k1_gateway.feed.history import History
from k1_gateway.feed.metrics import FeedMetrics
from k1_gateway.feed.position import Position
from k1_gateway.live import feed_poll, feed_requests, feed_stream
from k1_gateway.live.feed_models import FeedStreamEvent
from services.gateway.tests import samples
from services.gateway.tests.schemas import assert_matches
from tests.support.waiting import PATIENCE_S

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def message(subject: str, sequence: int, body: Any, headers: dict[str, str] | None = None) -> Any:
    """A message as nats-py hands it over."""
    metadata = SimpleNamespace(sequence=SimpleNamespace(stream=sequence), timestamp=NOW)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SimpleNamespace(subject=subject, data=data, headers=headers, metadata=metadata)


def uploaded(sequence: int) -> Any:
    return message("track.uploaded", sequence, {"track_id": samples.TRACK, "n": sequence})


def reading(sequence: int) -> Any:
    return message(
        "live.telemetry.k1-a", sequence, {"device_id": "k1-a", "track_id": samples.TRACK, "n": sequence}
    )


class Gateway:
    """A feed that has read some of the two streams."""

    def __init__(self) -> None:
        self.feed = Feed(FeedMetrics.of(CollectorRegistry()))
        for stream in ("events", "samples"):
            self.feed.restart(stream, 0)
            self.feed.set_loaded(stream)
        self.read = [0, 0]

    def read_one(self, is_sample: bool) -> None:
        self.read[is_sample] += 1
        sequence = self.read[is_sample]
        if is_sample:
            self.feed.add("samples", reading(sequence))
        else:
            self.feed.add("events", uploaded(sequence))

    def read_up_to(self, position: Position) -> None:
        while self.read[0] < position.event:
            self.read_one(is_sample=False)
        while self.read[1] < position.sample:
            self.read_one(is_sample=True)


def drain(client: Client) -> list[tuple[Position, FeedEvent]]:
    taken: list[tuple[Position, FeedEvent]] = []
    while not client.queue.is_empty:
        batch = client.queue.take(3)
        assert not batch.gaps
        assert not batch.dropped
        taken += batch.events
    return taken


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
            _receive(drain(client), received, ids)
        elif step == "idle":
            _receive(drain(client), received, ids)
            position = at.feed.idle_position(client)
            assert position is not None
            ids.append(str(position))
        else:
            arrived = drain(client)
            _receive(arrived[: max(len(arrived) - lost, 0)], received, ids)
            at.feed.unsubscribe(client, set(client.topics))
            last = Position.parse(ids[-1]) if ids else Position(0, 0)
            at, client = gateway, Client("sse")
            gateway.read_up_to(last)
            at.feed.start(client, [f"track:{samples.TRACK}"], last)
    newest = Position(
        max(gateway.read[0] for gateway in gateways), max(gateway.read[1] for gateway in gateways)
    )
    at.read_up_to(newest)
    _receive(drain(client), received, ids)
    assert [number for is_durable, number in received if is_durable] == list(range(1, newest.event + 1))
    assert [number for is_durable, number in received if not is_durable] == list(range(1, newest.sample + 1))
    assert ids == sorted(ids)


def _receive(
    arrived: Iterable[tuple[Position, FeedEvent]], received: list[tuple[bool, int]], ids: list[str]
) -> None:
    for position, event in arrived:
        frame = json.loads(event.as_json(position))
        assert frame == json.loads(json.dumps(msgspec.msgpack.decode(event.as_msgpack(position))))
        assert frame["id"] == str(position)
        received.append((event.is_durable, frame["data"]["n"]))
        ids.append(frame["id"])


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
        _receive([(self.client.queue.pass_by(event), event) for event in events], self.received, self.ids)
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
            _receive(drain(client), connection.received, connection.ids)
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


DEEP = b'{"track_id": "%s", "n": %s}' % (samples.TRACK.encode(), b"[" * 600 + b"]" * 600)
"""JSON can be read so deep, but not encoded as MessagePack."""
HUGE = b'{"track_id": "%s", "n": 1%s}' % (samples.TRACK.encode(), b"0" * 30)
HUGE_BEATS = HUGE.replace(b'"n": 1', b'"beats_ms": [1').replace(b"}", b"0" * 400 + b"]}")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"7", b'"x"', b"{}", b"\xff", b"[" * 100_000, DEEP, HUGE, HUGE_BEATS]
)
async def test_what_is_no_event_only_moves_the_position(body: bytes) -> None:
    """A damaged message, a command and a redriven dead letter reach nobody, and stop nobody."""
    gateway = Gateway()
    client = Client("sse")
    gateway.feed.start(client, ["activity", "jobs"], None)
    gateway.feed.add("events", message("track.uploaded", 1, body))
    gateway.feed.add("events", message("deploy.requested", 2, {"track_id": samples.TRACK}))
    gateway.feed.add("events", message("redrive.catalogue.track.uploaded", 3, {"track_id": samples.TRACK}))
    gateway.feed.add("samples", message("live.telemetry.k1-a", 1, body))
    assert drain(client) == []
    assert gateway.feed.idle_position(client) == Position(3, 1)


async def test_each_event_comes_under_its_topics_once() -> None:
    """A client of several topics gets an event once; who caused it is named, without the address."""
    actor = Actor(kind="user", id="usr_1", name="Ann", role="editor", address="192.0.2.1")
    gateway = Gateway()
    client, other = Client("sse"), Client("sse")
    gateway.feed.start(client, ["jobs", "activity", f"track:{samples.TRACK}"], None)
    gateway.feed.start(other, ["alarms", "device:k1-a", "track:trk_01K9Z6Q3T4V8W2X0Y1Z5A7B9CE"], None)
    body = json.loads((samples.GOLDEN / "AnalysisCompleted" / "v1.json").read_text())
    body["track_id"] = samples.TRACK
    headers = {"ce-time": "2026-05-01T12:00:00.000Z", ACTOR_HEADER: actor.to_header()}
    gateway.feed.add("events", message("analysis.completed", 1, body, headers))
    [(position, event)] = drain(client)
    assert drain(other) == []
    frame = json.loads(event.as_json(position))
    assert (frame["topic"], frame["actor"], frame["at"]) == ("jobs", "Ann", headers["ce-time"])
    assert "192.0.2.1" not in json.dumps(frame)


@pytest.mark.parametrize(
    ("subject", "topics"),
    [
        ("track.edited", {f"track:{samples.TRACK}", "activity"}),
        ("track.deleted", {f"track:{samples.TRACK}", "activity"}),
        ("track.restored", {f"track:{samples.TRACK}", "activity"}),
        ("artefact.deleted", {f"track:{samples.TRACK}", "activity"}),
        ("artefact.restored", {f"track:{samples.TRACK}", "activity"}),
        ("storage.alert", {"activity"}),
        ("alarm.opened", {f"track:{samples.TRACK}", "activity", "alarms", "fleet"}),
        ("device.alarm", {f"track:{samples.TRACK}", "alarms", "fleet"}),
    ],
)
async def test_an_event_comes_to_whoever_shows_what_it_is_about(subject: str, topics: set[str]) -> None:
    """Under the topic of the track, and in the list of all activity; this has alarms, not each crossing of a level."""
    body = json.loads((samples.GOLDEN / DURABLE_TYPES[subject].model.__name__ / "v1.json").read_text())
    if "track_id" in body:
        body["track_id"] = samples.TRACK
    every = {f"track:{samples.TRACK}", "activity", "jobs", "alarms", "fleet"}
    gateway = Gateway()
    clients = {topic: Client("sse") for topic in every}
    for topic, client in clients.items():
        gateway.feed.start(client, [topic], None)
    gateway.feed.add("events", message(subject, 1, body))
    assert {topic for topic, client in clients.items() if drain(client)} == topics


GOLDENS = [
    *((subject, kind) for subject, kind in DURABLE_TYPES.items()),
    *((f"{subject}.x", kind) for subject, kind in SAMPLE_TYPES.items()),
]


@pytest.mark.parametrize(("subject", "kind"), GOLDENS)
def test_every_event_has_its_schema(subject: str, kind: Any) -> None:
    """The stored example of each message, as the gateway frames it, satisfies the union of the document."""
    body = json.loads((samples.GOLDEN / kind.model.__name__ / "v1.json").read_text())
    gateway = Gateway()
    stream = "events" if kind.is_durable else "samples"
    gateway.feed.add(stream, message(subject, 1, body))
    history = gateway.feed._history(stream)
    [event] = history.after(0)
    frame = json.loads(event.json)
    assert frame["type"] == kind.name
    assert_matches(frame, "FeedEvent")
    FeedStreamEvent.model_validate({"id": frame["id"], "data": frame})
    wrong = frame | {"type": "no.such"}
    with pytest.raises(jsonschema.ValidationError):
        assert_matches(wrong, "FeedEvent")


@given(st.lists(st.floats(allow_nan=False), max_size=50))
def test_beats_survive_as_binary(times: list[float]) -> None:
    assert unpack_times(pack_times(times)) == times


def test_beats_are_little_endian_float64() -> None:
    assert pack_times([1.0]) == bytes.fromhex("000000000000f03f")
    with pytest.raises(ValueError, match="multiple"):
        unpack_times(b"1234567")


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_ids_are_read_as_they_are_written(event: int, sample: int) -> None:
    assert Position.parse(str(Position(event, sample))) == Position(event, sample)


@pytest.mark.parametrize(
    "text", ["", "1-2", "0" * 25, "x" * 12 + "-" + "0" * 12, "0" * 12 + "-" + "0" * 12 + "\n"]
)
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        Position.parse(text)
