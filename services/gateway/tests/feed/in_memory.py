"""A live feed in memory, the messages that it reads, and what its clients receive."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from k1_gateway.feed.event import FeedEvent
from k1_gateway.feed.feed import Client, Feed
from k1_gateway.feed.metrics import FeedMetrics
from k1_gateway.feed.position import Position
from services.gateway.tests import samples

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


def receive(
    arrived: Iterable[tuple[Position, FeedEvent]], received: list[tuple[bool, int]], ids: list[str]
) -> None:
    for position, event in arrived:
        frame = json.loads(event.as_json(position))
        assert frame == json.loads(json.dumps(msgspec.msgpack.decode(event.as_msgpack(position))))
        assert frame["id"] == str(position)
        received.append((event.is_durable, frame["data"]["n"]))
        ids.append(frame["id"])
