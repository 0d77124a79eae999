"""Clients of the live feed for tests: server-sent events, long polling, and the WebSocket in both forms."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import httpx
import msgspec
from nats.aio.client import Client

from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import TRACK_UPLOADED, TrackUploaded
from k1_contracts.messages.telemetry import LIVE_READING, LiveSample
from k1_gateway.feed.position import Position
from k1_platform.nats.streams.publisher import make_message
from services.gateway.tests import samples
from services.gateway.tests.schemas import assert_matches
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S

API = "/api/v1"
Event = dict[str, Any]


class Connection(Protocol):
    """An open way into the feed."""

    async def next(self) -> Event: ...


class SseConnection:
    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id: str | None = None
        self.comments: list[str] = []

    async def block(self) -> dict[str, str]:
        """Return the next block: its fields, and its comment under the empty name."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while line := await anext(self._lines):
                name, _, value = line.partition(": ")
                fields[name or "comment"] = value
        self.last_id = fields.get("id", self.last_id)
        return fields

    async def next(self) -> Event:
        while "data" not in (block := await self.block()):
            pass
        assert "event" not in block, "only onmessage is called"
        event = json.loads(block["data"])
        assert event.get("id") == block.get("id")
        return event


class SocketConnection:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def message(self) -> Event:
        """Return the next message."""
        received = await self.socket.receive(PATIENCE_S)
        if received.type is aiohttp.WSMsgType.TEXT:
            return json.loads(received.data)
        assert received.type is aiohttp.WSMsgType.BINARY, (received, self.socket.close_code)
        return msgspec.msgpack.decode(received.data)

    async def next(self) -> Event:
        while (event := await self.message())["type"] in {"hello", "heartbeat", "ack"}:
            pass
        return event

    async def ask_later(self, **message: Any) -> None:
        """Send an action; its answer is still to be read."""
        if self.socket.protocol == "k1.msgpack":
            await self.socket.send_bytes(msgspec.msgpack.encode(message))
        else:
            await self.socket.send_str(json.dumps(message))

    async def ask(self, **message: Any) -> Event:
        """Send an action and return its answer."""
        await self.ask_later(**message)
        while (answer := await self.message())["type"] not in {"ack", "error"}:
            pass
        return answer


class PollConnection:
    def __init__(self, http: httpx.AsyncClient, topics: str, after: str | None) -> None:
        self._http, self._topics = http, topics
        self._after = after
        self._events: list[Event] = []

    async def poll(self, **params: Any) -> httpx.Response:
        after = {"after": self._after} if self._after else {}
        found = await self._http.get(f"{API}/events/poll", params={"topics": self._topics, **after, **params})
        self._after = found.json().get("last_id")
        return found

    async def next(self) -> Event:
        while not self._events:
            self._events = (await self.poll(timeout_s=5)).json()["events"]
        return self._events.pop(0)


@asynccontextmanager
async def connected(way: str, url: str, topics: str, after: str | None = None) -> AsyncIterator[Any]:
    """Open a connection that gets everything from now on, or from an id on."""
    params = {"topics": topics, **({"last_event_id": after} if after else {})}
    if way in {"json", "msgpack"}:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{url}{API}/ws", params=params, protocols=[f"k1.{way}"]) as socket,
        ):
            connection = SocketConnection(socket)
            assert (await connection.message())["type"] == "hello"
            yield connection
        return
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        if way == "poll":
            poll = PollConnection(http, topics, after)
            if after is None:
                await poll.poll()
            yield poll
        else:
            async with http.stream("GET", f"{API}/events/stream", params=params) as response:
                assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
                sse = SseConnection(response)
                assert (await sse.block())["comment"] == "connected"
                yield sse


@dataclass
class Source:
    """Publishes events and samples about one track, as their services do, and keeps their sequences."""

    client: Client
    track: str = field(default_factory=lambda: new_id("trk"))
    events: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)

    async def event(self, filename: str = "song.mp3") -> int:
        """Store an event; return its sequence in EVENTS."""
        golden = (samples.GOLDEN / "TrackUploaded" / "v1.json").read_text()
        body = TrackUploaded.model_validate_json(golden).model_copy(
            update={"track_id": self.track, "filename": filename}
        )
        made = make_message(TRACK_UPLOADED, body, source="ingest", key=new_id("job"))
        self.events.append(await self._store(made.subject, made.body, made.headers))
        return self.events[-1]

    async def sample(self, drift_ms: float = 1.0, error: str | None = None) -> int:
        """Store a reading; return its sequence in LIVE."""
        body = LiveSample(
            timestamp=samples.NOW, device_id="k1-a", track_id=self.track, drift_ms=drift_ms,
            cpu_pct=1, temp_c=40, fps=60, error=error,
        )  # fmt: skip
        self.samples.append(await self._store(LIVE_READING.subject_for("k1-a"), body.to_json()))
        return self.samples[-1]

    async def mixed(self, count: int) -> None:
        """Store so many, two samples after each event."""
        for number in range(count):
            await (self.sample() if number % 3 else self.event())

    async def _store(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        jetstream = self.client.jetstream(timeout=PATIENCE_S)
        return (await jetstream.publish(subject, body, headers=headers)).seq

    @property
    def topic(self) -> str:
        return f"track:{self.track}"


def websocket_url(gateway: RunningService, query: str = "") -> str:
    return f"{gateway.url}{API}/ws{query}"


@dataclass
class Received:
    """What a client got, over all its connections."""

    events: list[int] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def add(self, event: Event, *, check: bool = True) -> None:
        """Record an event that satisfies the document; the check takes milliseconds."""
        if check:
            assert_matches(event, "FeedEvent")
        position = Position.parse(event["id"])
        if event["type"] == "track.uploaded":
            self.events.append(position.event)
        else:
            assert event["type"] == "device.reading", event
            self.samples.append(position.sample)
        self.ids.append(event["id"])

    def has_all_of(self, source: Source) -> bool:
        return len(self.events) >= len(source.events) and len(self.samples) >= len(source.samples)
