"""Sends queries and serves them, over request/reply of core NATS."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, Self, TypeVar

from faststream.nats import NatsBroker
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel, ValidationError

from k1_contracts.base import Contract
from k1_contracts.descriptors import AnyQuery, Query
from k1_contracts.graph import Violation
from k1_contracts.rpc import Response, RpcError
from k1_platform.errors import TransientError
from k1_platform.nats.actors import RoleError, acting_as, actor_headers, actor_of, require_role
from k1_platform.nats.queries.query_server import Reply, Serve, subscribe_to_query
from k1_platform.processes.tasks import contain_exits

REQUEST_TIMEOUT_S = 5.0
TIMEOUT_HEADER: Final = "k1-timeout-ms"
"""How long the caller waits; a responder without it assumes REQUEST_TIMEOUT_S."""
_RESERVE_SHARE: Final = 0.1
_RESERVE_MOST_S: Final = 1.0
"""The part of the caller's time that the responder leaves for the transport."""
_ROOM_FOR_HEADERS: Final = 16 * 1024
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_log = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Contract)
A = TypeVar("A", bound=BaseModel)
R = TypeVar("R")


class QueryError(Exception):
    """The error of a query: the handler raises it in one service, and `request` raises it again in the other."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int,
        *,
        violations: Sequence[Violation] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.violations = list(violations)
        """Every rule that a refused graph breaks."""
        self.retry_after_s = retry_after_s
        """When to try again, if the request was refused for now (429)."""

    @classmethod
    def of(cls, error: RpcError) -> Self:
        """Return the error that a response carries."""
        return cls(
            error.code,
            error.message,
            error.status,
            violations=error.violations or (),
            retry_after_s=error.retry_after_s,
        )


async def request(
    broker: NatsBroker, query: Query[Q, A], body: Q, *, timeout_s: float = REQUEST_TIMEOUT_S
) -> A:
    """Send a query to the service that serves it and return the result.

    Raises:
        QueryError: the error of the service, or `service_unavailable` (503) when no process of it runs, or
            `service_timeout` (504) when the response does not come in time.
    """
    reply = await request_raw(broker, query, body, timeout_s=timeout_s)
    parsed = _response_model(query.response).model_validate_json(reply.data)
    if parsed.error:
        raise QueryError.of(parsed.error)
    assert parsed.result is not None
    return parsed.result


@cache
def _response_model(result: type[BaseModel]) -> type[Response[Any]]:
    """Return the model of a response; pydantic itself would forget it, and make it again for each message."""
    return Response[result]


async def request_raw(
    broker: NatsBroker, query: AnyQuery[Q], body: Q, *, timeout_s: float = REQUEST_TIMEOUT_S
) -> Msg:
    """Send a query and return the reply as it came.

    It goes past the broker's middlewares, which cost more than the rest of a request: the responder measures it.

    Raises:
        QueryError: `service_unavailable` or `service_timeout` as in `request`; an error of the service is in the reply.
    """
    headers = {TIMEOUT_HEADER: str(round(timeout_s * 1000)), **actor_headers()}
    try:
        with _span_of(query.subject):
            _PROPAGATOR.inject(headers)
            return await broker.connection.request(
                query.subject, body.to_json(), headers=headers, timeout=timeout_s
            )
    except NoRespondersError as error:
        message = f"The {query.service} service is not running; try again in a moment."
        raise QueryError("service_unavailable", message, 503) from error
    except (NatsError, TimeoutError, OSError) as error:
        message = f"The {query.service} service did not answer within {timeout_s:.0f} s; try again."
        raise QueryError("service_timeout", message, 504) from error


def _span_of(subject: str) -> AbstractContextManager[object]:
    """Return a span of the request; none where the trace is only passed on."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    return trace.get_tracer(__name__).start_as_current_span(f"{subject} request", kind=trace.SpanKind.CLIENT)


@dataclass(frozen=True, slots=True)
class QueryHandler(Generic[Q, A]):
    """The handler of one query: its descriptor and the function that returns the result."""

    query: Query[Q, A]
    function: Callable[[Q], Awaitable[A]]


def respond(
    broker: NatsBroker,
    handlers: Sequence[QueryHandler[Any, Any]],
    *,
    workers: int = 16,
    transient: tuple[type[Exception], ...] = (),
) -> None:
    """Serve queries, shared with the other processes of the service, at most `workers` of each at a time.

    `transient` are the errors of a dependency that is away: the response to them has the status 503.
    """
    for handler in handlers:
        subscribe_to_query(broker, handler.query, _server_of(handler, transient), workers=workers)


def _server_of(handler: QueryHandler[Any, Any], transient: tuple[type[Exception], ...]) -> Serve:
    async def run_handler(message: Msg) -> Reply:
        result = await handler.function(handler.query.model.model_validate_json(message.data))
        body = b'{"result":' + result.model_dump_json(exclude_none=True).encode() + b"}"
        if len(body) > max_body(message):
            detail = f"The answer has {len(body) / 1e6:.1f} MB, more than a message holds; ask for less."
            raise QueryError("answer_too_large", detail, 413)
        return Reply(body)

    async def serve(message: Msg) -> Reply:
        try:
            return await serve_query(message, handler.query, run_handler(message))
        except Exception as error:  # noqa: BLE001  the one place where an error becomes a response
            response = error_response(handler.query.subject, error, transient)
            return Reply(response.model_dump_json(exclude_none=True).encode())

    return serve


async def serve_query(message: Msg, query: AnyQuery[Any], work: Coroutine[Any, Any, R]) -> R:
    """Run the handler of a query as the actor of the message, while the caller still waits.

    Raises:
        RoleError: the role of the actor is lower than the query demands.
        QueryError: `service_timeout`, as in `run_within_deadline`.
    """
    try:
        actor = actor_of(message.headers or {})
        require_role(actor, query.role)
    except Exception:
        work.close()
        raise
    with acting_as(actor):
        return await run_within_deadline(message, work)


async def run_within_deadline(message: Msg, work: Coroutine[Any, Any, R]) -> R:
    """Run the handler of a query in a task and return its result while the caller still waits.

    Raises:
        QueryError: `service_timeout` (504); the handler is cancelled and not waited for, as it may ignore that.
        RuntimeError: it raised something that is no Exception.
    """
    task = asyncio.create_task(contain_exits(work))
    try:
        await asyncio.wait((task,), timeout=_deadline_s(message))
        if task.done():
            return task.result()
    except asyncio.CancelledError:
        if task.done() and task.cancelled():
            raise RuntimeError("the handler was cancelled from elsewhere") from None
        raise
    finally:
        if not task.done():
            task.cancel()
            _abandoned.add(task)
            task.add_done_callback(_forget)
    owner = message.subject.split(".")[1]
    raise QueryError("service_timeout", f"The {owner} service did not finish in time; try again.", 504)


_abandoned: Final[set[asyncio.Task[Any]]] = set()
"""Handlers that were cancelled and have not ended yet."""


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()):
        _log.warning("a query that ran out of time failed", extra={"reason": repr(error)})


def _deadline_s(message: Msg) -> float:
    given = (message.headers or {}).get(TIMEOUT_HEADER, "")
    timeout_s = int(given) / 1000 if given.isdecimal() else REQUEST_TIMEOUT_S
    return timeout_s - min(timeout_s * _RESERVE_SHARE, _RESERVE_MOST_S)


def max_body(message: Msg) -> int:
    """Return how many bytes a reply to this message may have."""
    client = message._client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the message's own
    return client.max_payload - _ROOM_FOR_HEADERS


def error_response(subject: str, error: Exception, transient: tuple[type[Exception], ...]) -> Response[Any]:
    """Return the response for an error of a handler; unexpected errors are logged with their traceback."""
    if isinstance(error, QueryError):
        problem = RpcError(
            code=error.code,
            message=str(error),
            status=error.status,
            violations=error.violations or None,
            retry_after_s=error.retry_after_s,
        )
    elif isinstance(error, RoleError):
        problem = RpcError(code="role_required", message=str(error), status=403)
    elif isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        problem = RpcError(code="invalid_request", message=f"{where}: {first['msg']}", status=422)
    elif isinstance(error, (TransientError, OSError, TimeoutError, NatsError, *transient)):
        _log.warning("query not answered", extra={"subject": subject, "reason": repr(error)})
        message = "A database or store behind the service does not answer; try again in a moment."
        problem = RpcError(code="service_unavailable", message=message, status=503)
    else:
        _log.error("query failed", extra={"subject": subject}, exc_info=error)
        problem = RpcError(code="internal_error", message="The service failed; it was logged.", status=500)
    return Response(error=problem)
