"""Runs the HTTP server of every service with time limits and with errors in one format.

aiohttp responds with plain text to a request that it cannot parse. It waits for the rest of a half-sent request head as
long as for the next request of an idle connection. This server responds with an RFC 9457 problem, and with status 408.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from typing_extensions import override

from k1_platform.http.problems import describe_parse_error, detail_of, problem_response
from k1_platform.http.request_checks import find_fault
from k1_platform.settings import HttpSettings

_BACKLOG: Final = 512
_MAX_LINGER_S: Final = 10.0
"""How long the server reads the rest of a rejected body, so that the client sees the response."""
_DISCARD_INTERVAL_S: Final = 0.1
_MAX_DISCARD_S: Final = 2.0
_FINISH_INTERVAL_S: Final = 0.02
_CANCEL_S: Final = 1.0
"""How long a handler may take to end after it was cancelled."""
_log = logging.getLogger(__name__)
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long a client may delay a request or a response, in seconds."""

    receive_s: float
    """The limit for the whole head of a request, for a small body, and for each pause within a large body."""
    idle_s: float
    """The limit for a connection between two requests."""
    send_s: float
    """The limit for each pause in which the client reads nothing of a response."""

    @classmethod
    def of(cls, settings: HttpSettings) -> "ServerLimits":
        """Return the limits of the settings."""
        return cls(settings.receive_timeout_s, settings.idle_timeout_s, settings.send_timeout_s)


LIMITS: Final = web.AppKey("limits", ServerLimits)
"""The key of the limits in the application; the functions that read bodies use it."""


class LimitedRunner(web.AppRunner):
    """Runs an application within the limits; used like `web.AppRunner`, but with `listen` instead of a site."""

    __slots__ = ("_finish_s", "_limits", "_listener")

    def __init__(
        self, app: web.Application, limits: ServerLimits, *, finish_s: float = 10.0, **kwargs: Any
    ) -> None:
        """`finish_s`: how long requests in progress may take at the end, in seconds."""
        app[LIMITS] = limits
        self._limits = limits
        self._finish_s = finish_s
        self._listener: asyncio.Server | None = None
        lingering_s = min(_MAX_LINGER_S, limits.receive_s)
        super().__init__(
            app,
            keepalive_timeout=limits.idle_s,
            lingering_time=lingering_s,
            shutdown_timeout=_CANCEL_S,
            **kwargs,
        )

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> list[Any]:
        """Listen and return the addresses.

        A site of aiohttp cannot limit the time of a TLS handshake, which is one minute by default.
        """
        assert self.server is not None, "call setup first"
        self._listener = await asyncio.get_running_loop().create_server(
            self.server,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=self._limits.receive_s if tls is not None else None,
            backlog=_BACKLOG,
        )
        return [each.getsockname() for each in self._listener.sockets]

    @override
    async def cleanup(self) -> None:
        """Stop listening, let requests in progress end, and close all connections.

        aiohttp receives nothing more of a body once its own cleanup has begun, so uploads have to end before.
        """
        if self._listener is not None:
            self._listener.close()
        if self.server is not None:
            await self.shutdown()
            await self._finish_requests()
        await super().cleanup()

    async def _finish_requests(self) -> None:
        assert self.server is not None
        for _ in range(round(self._finish_s / _FINISH_INTERVAL_S)):
            connections = [each for each in self.server.connections if isinstance(each, _Connection)]
            if not any(connection.is_busy for connection in connections):
                return
            await asyncio.sleep(_FINISH_INTERVAL_S)

    @override
    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _LimitedServer(server, self._limits)


class _LimitedServer(web.Server):
    def __init__(self, server: web.Server, limits: ServerLimits) -> None:
        super().__init__(
            _with_checks(server.request_handler),
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
        )
        self._options = server._kwargs  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the options of AppRunner
        self._limits = limits

    @override
    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, limits=self._limits, loop=loop, **self._options)


def abandon_body(request: web.BaseRequest) -> None:
    """Close the connection after the response, without reading the rest of the body."""
    if isinstance(request.protocol, _Connection):
        request.protocol.abandon_body()


def _with_checks(handle: Handle) -> Handle:
    """Return a handler that rejects invalid headers and turns HTTP exceptions into problem responses."""

    async def checked(request: web.BaseRequest) -> web.StreamResponse:
        cast("_Connection", request.protocol).begin(request.content)
        if (fault := find_fault(request)) is not None:
            return problem_response(
                HTTPStatus.BAD_REQUEST, f"{fault}; correct it and send the request again."
            )
        try:
            response = await handle(request)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            response = problem_response(error.status, detail_of(error), allowed)
        if response.status == HTTPStatus.REQUEST_TIMEOUT:
            abandon_body(request)
        return response

    return checked


class _Connection(web.RequestHandler):
    """Limits the time for the head of a request and for reading a response; rejects what is not HTTP."""

    __slots__ = ("_body", "_discarded", "_head_deadline", "_limits", "_rejected", "_send_deadline", "_unsent")

    def __init__(self, manager: web.Server, *, limits: ServerLimits, **options: Any) -> None:
        super().__init__(manager, **options)
        self._limits = limits
        self._head_deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._body: StreamReader | None = None
        self._rejected = False
        self._discarded = 0

    @override
    def data_received(self, data: bytes) -> None:
        if self._rejected:
            self._discarded += len(data)
            return
        was_idle = bool(data) and self._is_idle()
        super().data_received(data)
        if was_idle and self._is_idle() and self._head_deadline is None:
            loop = asyncio.get_running_loop()
            self._head_deadline = loop.call_later(self._limits.receive_s, self._on_head_timeout)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_head_deadline()
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_send_deadline()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_deadline is not None:
            self._send_deadline.cancel()

    def _start_send_deadline(self) -> None:
        if self.transport is not None:
            self._unsent = self.transport.get_write_buffer_size()
            loop = asyncio.get_running_loop()
            self._send_deadline = loop.call_later(self._limits.send_s, self._on_send_timeout)

    def _on_send_timeout(self) -> None:
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() >= self._unsent:
            self.transport.abort()  # close() would wait until the client has read everything
        else:
            self._start_send_deadline()

    @property
    def is_busy(self) -> bool:
        """Whether a request is received, handled or answered."""
        return not self._is_idle()

    def begin(self, body: StreamReader) -> None:
        """Record that the head of a request is complete."""
        self._body = body
        self._cancel_head_deadline()

    def _cancel_head_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def abandon_body(self) -> None:
        """Close after the response, without reading the rest of the request."""
        self._lingering_time = 0.0

    def _is_idle(self) -> bool:
        body_left = self._body is not None and not self._body.is_eof()
        return not (self._messages or self._request_in_progress or body_left)

    def _on_head_timeout(self) -> None:
        self._head_deadline = None
        if self.transport is None or not self._is_idle():
            return
        seconds = self._limits.receive_s
        response = problem_response(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The request's head did not come within {seconds:g} s; send it again.",
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        body = cast("bytes", response.body)
        status = f"HTTP/1.1 {response.status} {response.reason}\r\n"
        start = f"{status}{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(start.encode() + body)
        self.force_close()

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun: no other can be sent")
        if not isinstance(exc, HttpProcessingError):
            _log.error("request failed", extra={"path": request.path}, exc_info=exc)
            response = problem_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed here; it was logged. Try again."
            )
        else:
            response = _Rejection(self, *describe_parse_error(exc))
            self._rejected = True
        response.force_close()
        return response

    async def discard(self) -> None:
        """Discard what the client still sends, until it pauses. If closed earlier, it might not see the response."""
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + _MAX_DISCARD_S, -1
        while self.transport is not None and seen != self._discarded and loop.time() < end:
            seen = self._discarded
            await asyncio.sleep(_DISCARD_INTERVAL_S)


class _Rejection(web.Response):
    """The response to a request that cannot be parsed; after it the rest of the input is discarded."""

    def __init__(self, connection: _Connection, status: int, detail: str) -> None:
        plain = problem_response(status, detail)
        super().__init__(body=plain.body, status=status, headers=plain.headers)
        self._connection = connection

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        await self._connection.discard()
