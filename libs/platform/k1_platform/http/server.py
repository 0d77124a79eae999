"""The HTTP server of every service: its limits, and errors that end a request before any handler sees it.

aiohttp answers a request that it cannot parse as plain text, and waits for the rest of a half-sent head as long as
for the next request of an idle connection. Here both have their answer: an RFC 9457 problem, and 408.
"""

import asyncio
import json
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex
from typing import Any, Final, cast

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from typing_extensions import override

from k1_platform.settings import HttpSettings

PROBLEM_CONTENT_TYPE: Final = "application/problem+json"
_SINGLE: Final = ("Origin", "Sec-Fetch-Site", "Idempotency-Key", "Last-Event-ID")
"""Headers of one value: of two, a check and a proxy before it may each read another one."""
_HOST: Final = re.compile(r"([A-Za-z0-9_.\-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?")
_LARGEST_PORT: Final = 65535
_BACKLOG: Final = 512
_LINGER_MOST_S: Final = 10.0
"""How long the rest of a body is awaited that was refused before its end, so that its sender sees why."""
_QUIET_S: Final = 0.1
_DISCARD_MOST_S: Final = 2.0
_CODES: Final = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    417: "expectation_failed",
    431: "headers_too_large",
}
_DETAILS: Final = {
    404: "There is nothing at this address.",
    405: "This address does not take this method; the header Allow says which it takes.",
    413: "The body is larger than this service takes; send less.",
    414: "The address is longer than 8190 bytes; send a shorter one.",
    417: "Only `Expect: 100-continue` is understood; leave the header out.",
    431: "The headers are too large: at most 128 of 8190 bytes each; send fewer or shorter ones.",
}
_log = logging.getLogger(__name__)
Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long a client may keep a connection without sending what it began to send."""

    receive_s: float
    """For the whole head of a request, for a small body, and for each pause within a large one."""
    idle_s: float
    """Between two requests."""
    send_s: float
    """For each pause in taking an answer: a client that takes nothing for so long is gone."""

    @classmethod
    def of(cls, settings: HttpSettings) -> "ServerLimits":
        """As an operator set them."""
        return cls(settings.receive_timeout_s, settings.idle_timeout_s, settings.send_timeout_s)


LIMITS: Final = web.AppKey("limits", ServerLimits)
"""In the application, for whoever reads bodies."""


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer about a request that no handler has seen; its trace id is in the log."""
    trace = token_hex(16)
    code = _CODES.get(
        status, "bad_request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal_error"
    )
    _log.info("request refused", extra={"status": status, "code": code, "detail": detail, "trace": trace})
    body = {
        "type": f"urn:k1:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "trace_id": trace,
    }
    always = {
        "Content-Type": PROBLEM_CONTENT_TYPE,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Trace-Id": trace,
        "X-Request-Id": trace,
    }
    return web.Response(body=json.dumps(body).encode(), status=status, headers={**always, **(headers or {})})


class LimitedRunner(web.AppRunner):
    """Runs an application within the limits; use it as an AppRunner, with `listen` in place of a site."""

    __slots__ = ("_limits", "_listening")

    def __init__(self, app: web.Application, limits: ServerLimits, **kwargs: Any) -> None:
        app[LIMITS] = limits
        self._limits = limits
        self._listening: asyncio.Server | None = None
        lingering_s = min(_LINGER_MOST_S, limits.receive_s)
        super().__init__(app, keepalive_timeout=limits.idle_s, lingering_time=lingering_s, **kwargs)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> list[Any]:
        """Listen, and return the addresses. A site would leave asyncio's minute to a half-sent TLS handshake."""
        assert self.server is not None, "call setup first"
        self._listening = await asyncio.get_running_loop().create_server(
            self.server,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=self._limits.receive_s if tls is not None else None,
            backlog=_BACKLOG,
        )
        return [each.getsockname() for each in self._listening.sockets]

    @override
    async def cleanup(self) -> None:
        if self._listening is not None:
            self._listening.close()
        await super().cleanup()

    @override
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _LimitedServer(made, self._limits)


class _LimitedServer(web.Server):
    def __init__(self, made: web.Server, limits: ServerLimits) -> None:
        super().__init__(
            _guarded(made.request_handler),
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
        )
        self._options = made._kwargs  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  what AppRunner was given
        self._limits = limits

    @override
    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, limits=self._limits, loop=loop, **self._options)


def abandon_body(request: web.BaseRequest) -> None:
    """Close the connection after the response instead of waiting for a body whose rest is worth nothing."""
    if isinstance(request.protocol, _Connection):
        request.protocol.abandon_body()


def _guarded(handle: Handle) -> Handle:
    """Refuse what no handler should have to think of: header values and a Host that are none."""

    async def guard(request: web.BaseRequest) -> web.StreamResponse:
        cast("_Connection", request.protocol).begin(request.content)
        if (fault := _fault(request)) is not None:
            return problem_response(
                HTTPStatus.BAD_REQUEST, f"{fault}; correct it and send the request again."
            )
        try:
            response = await handle(request)
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            response = problem_response(error.status, _DETAILS.get(error.status, f"{error.reason}."), allowed)
        if response.status == HTTPStatus.REQUEST_TIMEOUT:
            abandon_body(request)
        return response

    return guard


def _fault(request: web.BaseRequest) -> str | None:
    for name, value in request.headers.items():
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError:
            return f"The header {json.dumps(name)} is not UTF-8"
    for name in _SINGLE:
        if len(request.headers.getall(name, ())) > 1:
            return f"The header {name} may stand only once"
    host = _HOST.fullmatch(request.headers.get("Host", ""))
    if host is None or (host[2] and int(host[2][1:] or 0) > _LARGEST_PORT):
        return "The header Host is no name or address with a port"
    return None


class _Connection(web.RequestHandler):
    """One connection: deadlines for the head of a request and for taking an answer, problems for what is no HTTP."""

    __slots__ = ("_body", "_discarded", "_head_deadline", "_limits", "_refused", "_send_deadline", "_unsent")

    def __init__(self, manager: web.Server, *, limits: ServerLimits, **options: Any) -> None:
        super().__init__(manager, **options)
        self._limits = limits
        self._head_deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._body: StreamReader | None = None
        self._refused = False
        self._discarded = 0

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discarded += len(data)
            return
        between = bool(data) and self._is_between_requests()
        super().data_received(data)
        if between and self._is_between_requests() and self._head_deadline is None:
            loop = asyncio.get_running_loop()
            self._head_deadline = loop.call_later(self._limits.receive_s, self._head_is_late)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_deadline()
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_sending()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_deadline is not None:
            self._send_deadline.cancel()

    def _watch_sending(self) -> None:
        if self.transport is not None:
            self._unsent = self.transport.get_write_buffer_size()
            loop = asyncio.get_running_loop()
            self._send_deadline = loop.call_later(self._limits.send_s, self._sending_is_late)

    def _sending_is_late(self) -> None:
        if self.transport is None:
            return
        if self.transport.get_write_buffer_size() >= self._unsent:
            self.transport.abort()  # closing would wait until the client has taken all
        else:
            self._watch_sending()

    def begin(self, body: StreamReader) -> None:
        """Note that a request is complete up to its body."""
        self._body = body
        self._forget_deadline()

    def _forget_deadline(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def abandon_body(self) -> None:
        """Close after the response, without waiting for the rest of the request."""
        self._lingering_time = 0.0

    def _is_between_requests(self) -> bool:
        body_left = self._body is not None and not self._body.is_eof()
        return not (self._messages or self._request_in_progress or body_left)

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if self.transport is None or not self._is_between_requests():
            return
        seconds = self._limits.receive_s
        answer = problem_response(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The request's head did not come within {seconds:g} s; send it again.",
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        body = cast("bytes", answer.body)
        status = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
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
            raise ConnectionError("the answer has begun: no other can be sent")
        if not isinstance(exc, HttpProcessingError):
            _log.error("request failed", extra={"path": request.path}, exc_info=exc)
            answer = problem_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed here; it was logged. Try again."
            )
        else:
            answer = _Refusal(self, *_parse_error(exc))
            self._refused = True
        answer.force_close()
        return answer

    async def discard(self) -> None:
        """Wait until the client has sent what it was sending: closed before, it might not see the answer."""
        loop = asyncio.get_running_loop()
        end, seen = loop.time() + _DISCARD_MOST_S, -1
        while self.transport is not None and seen != self._discarded and loop.time() < end:
            seen = self._discarded
            await asyncio.sleep(_QUIET_S)


class _Refusal(web.Response):
    """The answer to what cannot be parsed."""

    def __init__(self, connection: _Connection, status: int, detail: str) -> None:
        plain = problem_response(status, detail)
        super().__init__(body=plain.body, status=status, headers=plain.headers)
        self._connection = connection

    @override
    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        await self._connection.discard()


def _parse_error(error: HttpProcessingError) -> tuple[int, str]:
    if isinstance(error, LineTooLong):
        # The parser keeps the address in a bytearray, header lines in bytes.
        status = 414 if isinstance(error.args[0], bytearray) else 431
        return status, _DETAILS[status]
    if error.message.startswith("Too many headers"):
        return 431, _DETAILS[431]
    reason = error.message.partition("\n")[0].rstrip(":.")
    return 400, f"The request cannot be read: {json.dumps(reason)}. Correct it and send it again."
