"""The headers of every response: request and trace ids, security headers, CORS for a list of allowed origins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from k1_gateway.errors import ProblemError
from k1_gateway.http.problem_responses import trace_id

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
}
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, "
    "Last-Event-ID, Range, X-API-Key, X-Request-Id, traceparent",
    "Access-Control-Max-Age": "600",
}
_EXPOSED: Final = "Accept-Ranges, Content-Disposition, Content-Range, ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, X-Trace-Id"


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """Adds the headers to responses. A header that the response has already stays as it is."""

    allowed_origins: frozenset[str]

    def for_request(self, request: web.Request) -> Mapping[str, str]:
        """Return the headers for the response. A request id with other characters is replaced by the trace id."""
        trace = trace_id()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else trace
        headers = {"X-Request-Id": request_id, "X-Trace-Id": trace, **_SECURITY}
        if self.allowed_origins:
            headers["Vary"] = "Origin"
        if (origin := request.headers.get("Origin")) in self.allowed_origins:
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return headers

    def middleware(self) -> Middleware:
        """Return the middleware that adds the headers."""

        @web.middleware
        async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if not response.prepared:
                for name, value in self.for_request(request).items():
                    if name == "Vary" and name in response.headers:
                        response.headers[name] = f"{response.headers[name]}, {value}"
                    else:
                        response.headers.setdefault(name, value)
            return response

        return add

    def preflight(self) -> Middleware:
        """Return the middleware that answers a browser's preflight request (CORS)."""

        @web.middleware
        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
                return await handler(request)
            if request.headers.get("Origin") not in self.allowed_origins:
                detail = (
                    "Pages of this origin may not call the API; K1_GATEWAY_ALLOWED_ORIGINS lists who may."
                )
                raise ProblemError("origin_not_allowed", 403, detail)
            return web.Response(status=204, headers=_PREFLIGHT)

        return answer
