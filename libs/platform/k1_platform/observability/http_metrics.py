"""Measures the HTTP requests of a service for Prometheus: durations by route template, and open streams.

A label is never an id: the path of a request is replaced by the template of its route.
"""

import asyncio
import time
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CollectorRegistry, Gauge, Histogram

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_OTHER: Final = "other"
"""The label of a method that a client made up."""
_UNMATCHED: Final = "unmatched"
_ASSETS: Final = "/assets/"
"""Below it each file of the page has a route of its own, with a hash in its name."""
_CLIENT_GONE: Final = 499
"""The status of a request whose client went before the response, as nginx writes it."""
_STREAM: Final = web.RequestKey("open stream", str)


class HttpMetrics:
    """The metrics of the requests; `middleware` and `note_stream` belong into the application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register the metrics."""
        self._seconds = Histogram(
            "k1_http_request_seconds",
            "Duration of HTTP requests, without streams",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._streams = Gauge(
            "k1_http_open_streams",
            "Open server-sent event streams and WebSockets",
            ["kind"],
            registry=registry,
        )
        for kind in ("sse", "websocket"):
            self._streams.labels(kind)
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def middleware(self) -> Middleware:
        """Return the outermost middleware of the application."""

        @web.middleware
        async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
            started, status = time.perf_counter(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
            try:
                response = await handler(request)
                status = response.status
            except web.HTTPException as error:
                status = error.status
                raise
            except asyncio.CancelledError:
                status = _CLIENT_GONE
                raise
            else:
                return response
            finally:
                if kind := request.get(_STREAM):
                    self._streams.labels(kind).dec()
                else:
                    self._observe(request, status, time.perf_counter() - started)

        return measure

    async def note_stream(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count a response that begins and stays open; a signal of the application, `on_response_prepare`."""
        kind = _stream_kind(response)
        if kind is not None and _STREAM not in request:
            request[_STREAM] = kind
            self._streams.labels(kind).inc()

    def _observe(self, request: web.Request, status: int, seconds: float) -> None:
        key = (request.method if request.method in _METHODS else _OTHER, _template(request), status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._seconds.labels(*key)
        child.observe(seconds)


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    if resource is None:
        return _UNMATCHED
    path = resource.canonical
    return f"{_ASSETS}*" if path.startswith(_ASSETS) else path


def _stream_kind(response: web.StreamResponse) -> str | None:
    if isinstance(response, web.WebSocketResponse):
        return "websocket"
    return "sse" if response.content_type == "text/event-stream" else None
