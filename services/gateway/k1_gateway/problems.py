"""Errors as RFC 9457 problems: a stable code, a sentence that says what to do, the trace id."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from opentelemetry import trace
from pydantic import BaseModel

from k1_contracts.graph import Violation
from k1_platform.http.server import PROBLEM_CONTENT_TYPE
from k1_platform.nats.rpc import QueryError

RETRY_AFTER_S: Final = 5
PASSING: Final = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""Problems that time mends: each says when to come back."""
_log = logging.getLogger(__name__)


class Fault(BaseModel):
    """One parameter or field that cannot be accepted."""

    name: str
    message: str


class Problem(BaseModel):
    """RFC 9457, with `code`, `trace_id` and, for invalid input, every fault."""

    type: str
    """A name for this kind of problem; it leads nowhere."""
    title: str
    status: int
    detail: str
    """What is wrong and what to do about it."""
    code: str
    """Stable: for programs to tell problems apart."""
    trace_id: str
    errors: list[Fault] | None = None
    violations: list[Violation] | None = None
    """Of a graph that was refused: every rule that it breaks."""


class ProblemError(Exception):
    """Raised anywhere in a handler; becomes the answer."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.errors = list(errors)
        self.violations = list(violations)
        self.headers = dict(headers or {})


def trace_id() -> str:
    """Of the request that is being answered, as in the logs."""
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


def problem_response(error: ProblemError) -> web.Response:
    """The answer that tells of the problem."""
    problem = Problem(
        type=f"urn:k1:problem:{error.code}",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=str(error),
        code=error.code,
        trace_id=trace_id(),
        errors=error.errors or None,
        violations=error.violations or None,
    )
    headers = {"Content-Type": PROBLEM_CONTENT_TYPE, "Cache-Control": "no-store", **error.headers}
    if error.status in PASSING:
        headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return web.Response(
        body=problem.model_dump_json(exclude_none=True).encode(), status=error.status, headers=headers
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem; what nobody foresaw is logged and tells the client nothing."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error)
    except QueryError as error:
        problem = ProblemError(error.code, error.status, str(error), violations=error.violations)
        return problem_response(problem)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return problem_response(_from_aiohttp(request, error))
    except Exception as error:  # noqa: BLE001  the edge: nothing may leave it but a problem
        return problem_response(_unforeseen(request, error))


def _unforeseen(request: web.Request, error: Exception) -> ProblemError:
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
