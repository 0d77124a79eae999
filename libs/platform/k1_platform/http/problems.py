"""Makes RFC 9457 problem responses, for requests that no handler gets."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from secrets import token_hex
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

PROBLEM_CONTENT_TYPE: Final = "application/problem+json"
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "Server": "K1",
}
"""For every response, also to a request that cannot be parsed; a page has its own policy. aiohttp would name its version."""
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


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the response to a request that no handler gets, and log it under the trace id of the response."""
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
    base_headers = {
        "Content-Type": PROBLEM_CONTENT_TYPE,
        "Cache-Control": "no-store",
        **SECURITY_HEADERS,
        "X-Trace-Id": trace,
        "X-Request-Id": trace,
    }
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers={**base_headers, **(headers or {})}
    )


def detail_of(error: web.HTTPException) -> str:
    """Return the detail for an error that aiohttp raised."""
    return _DETAILS.get(error.status, f"{error.reason}.")


def describe_parse_error(error: HttpProcessingError) -> tuple[int, str]:
    """Return the status and the detail for a request that cannot be parsed."""
    if isinstance(error, LineTooLong):
        # The parser keeps the address in a bytearray, header lines in bytes.
        status = 414 if isinstance(error.args[0], bytearray) else 431
        return status, _DETAILS[status]
    if error.message.startswith("Too many headers"):
        return 431, _DETAILS[431]
    reason = error.message.partition("\n")[0].rstrip(":.")
    return 400, f"The request cannot be read: {json.dumps(reason)}. Correct it and send it again."
