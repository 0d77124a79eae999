"""Clients of the WebSocket that read slower than events come."""

import asyncio
import json
import socket
from typing import Any

import aiohttp
import httpx
from nats.aio.client import Client

from services.gateway.tests.live.feed_clients import Received, Source, connected, websocket_url
from tests.support.service_process import RunningService
from tests.support.waiting import PATIENCE_S, eventually

BIG = "x" * 4000
"""So that the buffers of the kernel, some MB, are soon full."""


def _small_socket(address: Any) -> socket.socket:
    """Open a socket that takes little before its reader reads."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return made


async def _metric(http: httpx.AsyncClient, line: str) -> float:
    text = (await http.get("/metrics")).text
    return next((float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line)), 0.0)


async def test_a_slow_client_loses_samples_and_is_told(
    gateway: RunningService, nats_client: Client, http: httpx.AsyncClient
) -> None:
    """It reads nothing for a while: others get everything meanwhile, it loses counted samples, and no event."""
    source, count = Source(nats_client), 3000
    slow = aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_small_socket))
    async with (
        slow,
        connected("json", gateway.url, source.topic) as quick,
        slow.ws_connect(websocket_url(gateway, f"?topics={source.topic}"), max_msg_size=0) as ws,
    ):
        await ws.receive()
        received = Received()
        reading = asyncio.create_task(_receive_all(quick, received, count + 1))
        await asyncio.gather(*(source.sample(error=BIG) for _ in range(count // 2)))
        event = await source.event()
        await asyncio.gather(*(source.sample(error=BIG) for _ in range(count // 2)))
        await reading
        assert sorted(received.samples) == sorted(source.samples)
        got, dropped = Received(), 0
        newest = max(source.samples)
        async with asyncio.timeout(PATIENCE_S):
            while newest not in got.samples:
                message = json.loads((await ws.receive()).data)
                if message["type"] == "dropped":
                    dropped += message["data"]["count"]
                elif message["type"] != "heartbeat":
                    got.add(message, check=False)
        assert dropped > 0
        assert got.ids == sorted(got.ids)
        assert len(got.samples) + dropped == count
        assert got.events == [event]
        assert await _metric(http, 'k1_live_clients{kind="websocket"}') == 2
    await eventually(lambda: _is_gone(http, dropped), "the connections are gone, and the drops are counted")


async def _is_gone(http: httpx.AsyncClient, dropped: int) -> bool:
    lost = await _metric(http, 'k1_live_dropped_total{kind="websocket"}')
    return lost >= dropped and await _metric(http, 'k1_live_clients{kind="websocket"}') == 0


async def _receive_all(client: Any, received: Received, count: int) -> None:
    for _ in range(count):
        received.add(await client.next(), check=False)


async def test_a_client_that_would_lose_events_is_sent_away(
    gateway: RunningService, nats_client: Client, http: httpx.AsyncClient
) -> None:
    """It is cut off rather than given a stream with holes; with its last id it gets the rest."""
    source, received = Source(nats_client), Received()
    slow = aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_small_socket))
    line = 'k1_live_closed_total{kind="websocket",reason="too_slow"}'
    before = await _metric(http, line)
    async with slow, slow.ws_connect(websocket_url(gateway, f"?topics={source.topic}")) as ws:
        await ws.receive()
        for _ in range(8):
            await asyncio.gather(*(source.event(BIG) for _ in range(500)))

        async def is_cut() -> bool:
            return await _metric(http, line) > before

        await eventually(is_cut, "the client is cut off")
        while (message := await ws.receive(PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
            if (event := json.loads(message.data))["type"] == "track.uploaded":
                received.add(event, check=False)
    assert 0 < len(received.events) < len(source.events)
    async with connected("json", gateway.url, source.topic, received.ids[-1]) as again:
        while not received.has_all_of(source):
            received.add(await again.next(), check=False)
    assert received.events == sorted(source.events)
