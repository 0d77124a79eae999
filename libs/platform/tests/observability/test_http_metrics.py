"""The metrics of HTTP requests, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from k1_platform.http.server import LimitedRunner, ServerLimits
from k1_platform.observability.http_metrics import HttpMetrics
from tests.support.waiting import eventually

COUNT = "k1_http_request_seconds_count"
END = web.AppKey("end", asyncio.Event)


async def _track(request: web.Request) -> web.Response:
    if request.match_info["track_id"] == "broken":
        raise ValueError("a bug")
    return web.Response()


async def _asset(_: web.Request) -> web.Response:
    return web.Response()


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await request.app[END].wait()
    return response


async def _socket(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    return socket


@asynccontextmanager
async def _server(registry: CollectorRegistry) -> AsyncIterator[tuple[str, asyncio.Event]]:
    metrics, end = HttpMetrics(registry), asyncio.Event()
    application = web.Application(middlewares=[metrics.middleware()])
    application[END] = end
    application.on_response_prepare.append(metrics.note_stream)
    application.add_routes(
        [
            web.get("/tracks/{track_id}", _track),
            web.get("/assets/app-1a2b.js", _asset),
            web.get("/stream", _stream),
            web.get("/ws", _socket),
        ]
    )
    runner = LimitedRunner(application, ServerLimits(receive_s=20, idle_s=20, send_s=20), access_log=None)
    await runner.setup()
    (address,) = await runner.listen("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{address[1]}", end
    finally:
        await runner.cleanup()


async def test_labels_are_templates_and_never_what_a_client_sends() -> None:
    """Ids, unknown paths, rare methods and files of the page share series; an error of ours is a 500."""
    registry = CollectorRegistry()
    sent = [
        *(("GET", f"/tracks/{number}") for number in range(5)),
        ("GET", "/tracks/broken"),
        ("GET", "/nothing/here"),
        ("TRACE", "/tracks/1"),
        ("GET", "/assets/app-1a2b.js"),
    ]
    async with _server(registry) as (url, _), aiohttp.ClientSession(url) as http:
        for method, path in sent:
            async with http.request(method, path):
                pass
    counts = {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == COUNT
    }
    assert counts == {
        ("GET", "/tracks/{track_id}", "200"): 5,
        ("GET", "/tracks/{track_id}", "500"): 1,
        ("GET", "unmatched", "404"): 1,
        ("other", "unmatched", "405"): 1,
        ("GET", "/assets/*", "200"): 1,
    }


async def test_open_streams_are_counted_and_are_no_slow_requests() -> None:
    """A stream and a WebSocket count while they are open; their length is in no histogram."""
    registry = CollectorRegistry()

    def opened(kind: str) -> float | None:
        return registry.get_sample_value("k1_http_open_streams", {"kind": kind})

    async with _server(registry) as (url, end), aiohttp.ClientSession(url) as http:
        async with http.get("/stream"), http.ws_connect("/ws"):
            assert (opened("sse"), opened("websocket")) == (1, 1)
            end.set()
        await eventually(lambda: (opened("sse"), opened("websocket")) == (0, 0), "both are closed")
    names = {sample.name for family in registry.collect() for sample in family.samples}
    assert COUNT not in names
