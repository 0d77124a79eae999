"""What every answer carries: request and trace ids, security headers, CORS for a strict list of origins."""

import re
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from k1_gateway.problems import ProblemError, trace_id

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-Request-Id, "
    "traceparent",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, X-Trace-Id"


class Edge:
    """The headers of every answer; an answer that names one itself keeps its own."""

    def __init__(self, allowed_origins: frozenset[str]) -> None:
        self._allowed = allowed_origins

    def headers(self, request: web.Request) -> Mapping[str, str]:
        """For this request's answer. A request id that is no plain word is replaced by the trace id."""
        trace = trace_id()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else trace
        headers = {"X-Request-Id": request_id, "X-Trace-Id": trace, **_SECURITY}
        if self._allowed:
            headers["Vary"] = "Origin"
        if (origin := request.headers.get("Origin")) in self._allowed:
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return headers

    def middleware(self) -> Middleware:
        """Adds the headers, and answers the preflight requests of browsers."""

        @web.middleware
        async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            if not answer.prepared:
                for name, value in self.headers(request).items():
                    if name == "Vary" and name in answer.headers:
                        answer.headers[name] = f"{answer.headers[name]}, {value}"
                    else:
                        answer.headers.setdefault(name, value)
            return answer

        return add

    def preflight(self) -> Middleware:
        """Answers a browser that asks whether a page may call."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
                return await handler(request)
            if request.headers.get("Origin") not in self._allowed:
                detail = (
                    "Pages of this origin may not call the API; K1_GATEWAY_ALLOWED_ORIGINS lists who may."
                )
                raise ProblemError("origin_not_allowed", 403, detail)
            return web.Response(status=204, headers=_PREFLIGHT)

        return answer
