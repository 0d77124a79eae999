"""Turns errors into responses: `application/problem+json`, as RFC 9457 defines it."""

import json
import logging
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import trace

from k1_gateway.errors import CHALLENGE, RETRYABLE_STATUSES, Problem, ProblemError
from k1_platform.http.problems import PROBLEM_CONTENT_TYPE
from k1_platform.nats.queries.rpc import QueryError

RETRY_AFTER_S: Final = 5
_OWN_TITLES: Final = {460: "Checksum Mismatch"}
"""Of statuses that HTTP has not registered; tus 1.0 defines 460."""
_log = logging.getLogger(__name__)


def trace_id() -> str:
    """Return the trace id of the current request, as the logs have it."""
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


def problem_response(error: ProblemError) -> web.Response:
    """Return the response that describes the problem."""
    problem = Problem(
        type=f"urn:k1:problem:{error.code}",
        title=_OWN_TITLES.get(error.status) or HTTPStatus(error.status).phrase,
        status=error.status,
        detail=str(error),
        code=error.code,
        trace_id=trace_id(),
        errors=error.errors or None,
        violations=error.violations or None,
    )
    headers = {"Content-Type": PROBLEM_CONTENT_TYPE, "Cache-Control": "no-store", **error.headers}
    if error.status in RETRYABLE_STATUSES:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return web.Response(
        body=problem.model_dump_json(exclude_none=True).encode(), status=error.status, headers=headers
    )


@web.middleware
async def convert_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem. An unexpected error is logged; its text does not reach the client."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error)
    except QueryError as error:
        return problem_response(query_problem(error))
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_response(_from_aiohttp(request, error))
    except Exception as error:  # noqa: BLE001  a client must get a problem, whatever fails
        return problem_response(_from_exception(request, error))


def query_problem(error: QueryError) -> ProblemError:
    """Return the problem for an error of a service."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGE  # RFC 9110 demands it with every 401
    return ProblemError(error.code, error.status, str(error), violations=error.violations, headers=headers)


def _from_exception(request: web.Request, error: Exception) -> ProblemError:
    if request.transport is None or request.transport.is_closing():
        return ProblemError("client_gone", 400, "The connection ended before the request did.")
    _log.error("request failed", extra={"method": request.method, "path": request.path}, exc_info=error)
    detail = "Something failed here; it was logged. Try again, and report the trace id if it stays."
    return ProblemError("internal_error", 500, detail)


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> ProblemError:
    if error.status == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {request.path}; /docs shows what there is."
        return ProblemError("not_found", error.status, detail)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.path} does not take {request.method}; it takes {allowed}."
        return ProblemError("method_not_allowed", error.status, detail, headers={"Allow": allowed})
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        detail = "The body did not arrive in time; check the connection and send the request again."
        return ProblemError("request_timeout", error.status, detail)
    if error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ProblemError("body_too_large", error.status, "The body may have at most 1 MiB; send less.")
    if error.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        accepted = {"Accept-Encoding": error.headers["Accept-Encoding"]}
        return ProblemError("unsupported_media_type", error.status, f"{error.reason}.", headers=accepted)
    return ProblemError(
        "bad_request", error.status, f"The request cannot be read: {json.dumps(error.reason)}."
    )
