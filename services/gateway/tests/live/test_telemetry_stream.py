"""The live feed of a track as server-sent events, as an EventSource of a browser reads it."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import httpx
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts import streams
from k1_contracts.ids import new_id
from k1_contracts.messages.catalogue.tracks import TRACK_GET, TrackDetail
from k1_contracts.messages.telemetry import LIVE_TRACK, LiveEvent, LiveSample
from k1_gateway.live import telemetry_stream
from k1_platform.nats.queries.rpc import QueryError
from services.gateway.tests import samples
from services.gateway.tests.conftest import Owners
from tests.support.bus import connected_client
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S, eventually

FIELDS = {"timestamp", "device_id", "drift_ms", "cpu_pct", "temp_c", "fps", "error"}


@dataclass
class Received:
    """One received event of a stream."""

    name: str = "message"
    id: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


class EventStream:
    """Parses the lines of a stream as an EventSource does."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments: list[str] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Received:
        """The next event."""
        event, seen = Received(), False
        async with asyncio.timeout(PATIENCE_S):
            while (line := await anext(self._lines)) or not seen:
                name, _, value = line.partition(": ")
                if line.startswith(":"):
                    self.comments.append(line)
                elif name == "data":
                    event.data, seen = json.loads(value), True
                elif name == "id":
                    event.id = int(value)
                elif name == "event":
                    event.name = value
        return event

    async def comment(self) -> str:
        """The next comment."""
        async with asyncio.timeout(PATIENCE_S):
            while not (line := await anext(self._lines)).startswith(":"):
                pass
        return line


@asynccontextmanager
async def open_stream(http: httpx.AsyncClient, track: str, **options: Any) -> AsyncIterator[EventStream]:
    """Open a stream that has begun: it delivers what is published from now on."""
    async with http.stream("GET", f"/api/v1/tracks/{track}/telemetry/stream", **options) as response:
        assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream")
        yield EventStream(response)


@pytest.fixture
def track(owners: Owners) -> str:
    """Return a track that no other test uses."""
    detail = (samples.GOLDEN / "TrackDetail" / "v1.json").read_text()
    owners.respond_with(TRACK_GET.subject, TrackDetail.model_validate_json(detail))
    return new_id("trk")


def sample(drift_ms: float, error: str | None = None) -> LiveSample:
    return LiveSample(
        timestamp=samples.NOW,
        device_id="k1-a",
        track_id=samples.TRACK,
        drift_ms=drift_ms,
        cpu_pct=41.5,
        temp_c=52.0,
        fps=60.0,
        error=error,
    )


ROLLBACK = LiveEvent(
    event="auto_rollback",
    timestamp=samples.NOW,
    details={"device_id": "k1-a", "reason": "drift_ms > 100 for 5s"},
)


async def publish(client: Client, track: str, *items: LiveSample | LiveEvent) -> list[int]:
    """Store items as telemetry and deploy do; return their sequences."""
    jetstream = client.jetstream(timeout=PATIENCE_S)
    return [(await jetstream.publish(LIVE_TRACK.subject_for(track), item.to_json())).seq for item in items]


async def fill(client: Client, track: str, count: int) -> None:
    """Store so many big readings; only some wait for a confirmation, because the server drops what it cannot store."""
    big = sample(1, error="x" * 2000)
    for number in range(count):
        if number % 100:
            await client.publish(LIVE_TRACK.subject_for(track), big.to_json())
        else:
            await publish(client, track, big)


async def first_reading(client: Client, track: str, stream: EventStream) -> Received:
    """Publish until the first reading arrives, as the consumer starts with new items; return the last one."""
    there = asyncio.Event()
    last = 0

    async def keep_publishing() -> None:
        nonlocal last
        while not there.is_set():
            [last] = await publish(client, track, sample(0))
            with suppress(TimeoutError):
                await asyncio.wait_for(there.wait(), 0.5)

    publishing = asyncio.create_task(keep_publishing())
    event = await stream.next()
    there.set()
    await publishing
    assert event.id is not None
    while event.id < last:
        event = await stream.next()
        assert event.id is not None
    return event


async def test_readings_and_events_are_streamed(
    http: httpx.AsyncClient, nats_client: Client, track: str
) -> None:
    """A reading is a `message` with exactly the documented fields, an event has its name; ids are sequences."""
    async with open_stream(http, track) as stream:
        await asyncio.sleep(0)
        begun = await first_reading(nats_client, track, stream)
        assert (begun.name, set(begun.data)) == ("message", FIELDS)
        ids = await publish(nats_client, track, sample(-3.25, error="strip 2"), ROLLBACK)
        received = [await stream.next(), await stream.next()]
    assert [event.id for event in received] == ids
    assert received[0].data == {
        "timestamp": "2026-05-01T12:00:00.000Z",
        "device_id": "k1-a",
        "drift_ms": -3.25,
        "cpu_pct": 41.5,
        "temp_c": 52.0,
        "fps": 60.0,
        "error": "strip 2",
    }
    assert received[1].name == "auto_rollback"
    assert received[1].data["event"] == "auto_rollback"
    assert received[1].data["details"]["reason"] == "drift_ms > 100 for 5s"


@pytest.mark.parametrize("way", ["header", "query"])
async def test_missed_items_are_replayed(
    http: httpx.AsyncClient, nats_client: Client, track: str, way: str
) -> None:
    """After a disconnection the stream continues from the last id: no repetition, no gap, no other tracks."""
    ids = await publish(nats_client, track, sample(1), sample(2))
    await publish(nats_client, new_id("trk"), sample(99))
    ids += await publish(nats_client, track, ROLLBACK, sample(3))
    last = str(ids[0])
    options = {"headers": {"Last-Event-ID": last}} if way == "header" else {"params": {"last_event_id": last}}
    async with open_stream(http, track, **options) as stream:
        received = [await stream.next() for _ in range(3)]
        assert [event.id for event in received] == ids[1:]
        ids += await publish(nats_client, track, sample(4))
        assert (await stream.next()).id == ids[-1]


async def test_a_client_is_notified_of_items_that_are_no_longer_stored(
    http: httpx.AsyncClient, nats_client: Client, track: str
) -> None:
    """A `missed` event comes first, then all stored items; so too for an id that does not exist."""
    ids = await publish(nats_client, track, *(sample(number) for number in range(5)))
    jetstream = nats_client.jetstream(timeout=PATIENCE_S)
    await jetstream.purge_stream(streams.LIVE_TRACKS, seq=ids[3])
    for last in (ids[0], ids[-1] + 1_000_000):
        async with open_stream(http, track, headers={"Last-Event-ID": str(last)}) as stream:
            missed = await stream.next()
            assert (missed.name, missed.id) == ("missed", None)
            assert missed.data["details"] == {"after_id": last, "resumed_at_id": ids[3]}
            assert [(await stream.next()).id, (await stream.next()).id] == ids[3:]


async def test_unknown_tracks_and_wrong_ids_are_problems(
    http: httpx.AsyncClient, owners: Owners, track: str
) -> None:
    """The response is a problem, not a stream without events."""
    for last in ("yesterday", "-1", "1e3", str(2**70)):
        response = await http.get(f"/api/v1/tracks/{track}/telemetry/stream", headers={"Last-Event-ID": last})
        assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
    owners.respond_with(TRACK_GET.subject, QueryError("track_not_found", "There is no such track.", 404))
    response = await http.get(f"/api/v1/tracks/{track}/telemetry/stream")
    assert (response.status_code, response.json()["code"]) == (404, "track_not_found")


async def test_a_quiet_stream_has_a_heartbeat(http: httpx.AsyncClient, track: str) -> None:
    """A comment every fifteen seconds keeps proxies from closing the connection."""
    began = time.monotonic()  # of whatever was said late, the first word is not later than this
    async with open_stream(http, track) as stream:
        assert await stream.comment() == ": connected"
        assert await stream.comment() == ": heartbeat"
    assert time.monotonic() - began > 14.5


async def test_a_slow_client_loses_the_oldest_readings_and_is_notified(
    gateway: RunningService, nats_client: Client, track: str
) -> None:
    """Dropped readings are counted; the event among them and the newest reading arrive."""
    count = 10_000
    with _connection(gateway.url) as slow:
        slow.sendall(
            f"GET /api/v1/tracks/{track}/telemetry/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        text = await asyncio.to_thread(_read_until, slow, ": connected")
        await _wait_until_consumed(nats_client, track)
        await fill(nats_client, track, count // 2)
        await publish(nats_client, track, ROLLBACK)
        await fill(nats_client, track, count // 2)
        await publish(nats_client, track, sample(777))
        await _wait_until_consumed(nats_client, track)
        text += await asyncio.to_thread(_read_until, slow, '"drift_ms":777.0')
    dropped = [json.loads(line[6:]) for line in text.splitlines() if '"event":"dropped"' in line]
    total = sum(notice["details"]["count"] for notice in dropped)
    assert text.count("event: auto_rollback") == 1
    assert total > 0
    assert text.count('"drift_ms":1.0') + total == count


def _connection(url: str) -> socket.socket:
    """Open a connection with a small receive buffer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE_S)
    address = urlparse(url)
    connection.connect((address.hostname, address.port))
    return connection


def _read_until(connection: socket.socket, end: str) -> str:
    text = bytearray()
    while end.encode() not in text[-8192:]:
        text += (received := connection.recv(4096))
        assert received, "the stream ended"
    return text.decode()


async def _wait_until_consumed(client: Client, track: str) -> None:
    """Wait until the gateway's consumer exists and has read everything."""
    jetstream = client.jetstream(timeout=PATIENCE_S)

    async def is_consumed() -> bool:
        infos = await jetstream.consumers_info(streams.LIVE_TRACKS)
        mine = [info for info in infos if info.config.filter_subject == LIVE_TRACK.subject_for(track)]
        return bool(mine and mine[0].num_pending == 0 and mine[0].num_waiting)

    await eventually(is_consumed, f"the gateway has read all items of {track}")


async def test_a_stream_ends_though_a_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """nats-py may lose one before Python 3.12: the stream must not wait until the gateway's shutdown cuts it."""
    monkeypatch.setattr(telemetry_stream, "_CANCEL_AGAIN_AFTER_S", 0.01)
    lost = 0

    async def ignore_cancellation() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 2:
                    raise

    async with asyncio.timeout(PATIENCE_S):
        await telemetry_stream._until_first_ends(ignore_cancellation(), asyncio.sleep(0))
    assert lost > 2


async def test_a_stopping_gateway_ends_its_streams(
    nats_client: Client, provisioned: Infrastructure, track: str, tmp_path: Path
) -> None:
    """So it does for a client that no longer reads."""
    environment = provisioned.environment
    with running_service("gateway", environment, tmp_path) as leaving, _connection(leaving.url) as stuck:
        stuck.sendall(
            f"GET /api/v1/tracks/{track}/telemetry/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        await _wait_until_consumed(nats_client, track)
        await fill(nats_client, track, 5_000)
        async with (
            httpx.AsyncClient(base_url=leaving.url, timeout=PATIENCE_S) as http,
            open_stream(http, new_id("trk")) as stream,
        ):
            assert await stream.comment() == ": connected"
            leaving.process.terminate()
            with pytest.raises(StopAsyncIteration):
                await stream.next()
        assert await asyncio.to_thread(leaving.process.wait, PATIENCE_S) == 0


@dataclass
class ReconnectingClient:
    """A client that reconnects when its broker restarts, and the event of that."""

    client: Client
    reconnected: asyncio.Event


@pytest.fixture
async def reconnecting(own_nats: NatsServer) -> AsyncIterator[ReconnectingClient]:
    reconnected = asyncio.Event()

    async def on_reconnected() -> None:
        reconnected.set()

    async with connected_client(
        own_nats.settings, max_reconnect_attempts=-1, reconnect_time_wait=0.1, reconnected_cb=on_reconnected
    ) as client:
        yield ReconnectingClient(client, reconnected)


async def test_a_restarted_broker_loses_nothing(
    provisioned: Infrastructure, own_nats: NatsServer, reconnecting: ReconnectingClient, tmp_path: Path
) -> None:
    """After a kill -9 the same stream continues with the same ids, and includes items stored in the meantime."""
    settings = own_nats.settings
    environment = provisioned.environment | {
        "K1_NATS_URL": settings.url,
        "K1_NATS_CREDS": str(settings.creds),
    }
    client = reconnecting.client
    track = new_id("trk")

    async def detail(message: Msg) -> None:
        body = (samples.GOLDEN / "TrackDetail" / "v1.json").read_bytes()
        await message.respond(b'{"result":' + body + b"}")

    await client.subscribe(TRACK_GET.subject, cb=detail)
    with running_service("gateway", environment, tmp_path) as gateway:
        async with (
            httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as http,
            open_stream(http, track) as stream,
        ):
            first = await first_reading(client, track, stream)
            assert first.id is not None
            ids = [first.id]
            own_nats.kill()
            await asyncio.to_thread(own_nats.start)
            async with asyncio.timeout(PATIENCE_S):
                await reconnecting.reconnected.wait()
            ids += await publish(client, track, sample(1), ROLLBACK, sample(2))
            assert [(await stream.next()).id for _ in range(3)] == ids[1:]
            assert ids == sorted(ids)
