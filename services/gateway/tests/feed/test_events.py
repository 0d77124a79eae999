"""Which messages become events, under which topics, and in which form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema_rs import ValidationError

from k1_contracts.actors import Actor
from k1_contracts.envelope import ACTOR_HEADER
from k1_gateway.feed.event import pack_times, unpack_times
from k1_gateway.feed.event_types import DURABLE_TYPES, SAMPLE_TYPES
from k1_gateway.feed.feed import Client
from k1_gateway.feed.position import Position
from k1_gateway.live.feed_models import FeedStreamEvent
from services.gateway.tests import samples
from services.gateway.tests.feed.in_memory import Gateway, drain, message
from services.gateway.tests.schemas import assert_matches

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
    with pytest.raises(ValidationError):
        assert_matches(wrong, "FeedEvent")


@given(st.lists(st.floats(allow_nan=False), max_size=50))
def test_beats_survive_as_binary(times: list[float]) -> None:
    assert unpack_times(pack_times(times)) == times


def test_beats_are_little_endian_float64() -> None:
    assert pack_times([1.0]) == bytes.fromhex("000000000000f03f")
    with pytest.raises(ValueError, match="multiple"):
        unpack_times(b"1234567")
