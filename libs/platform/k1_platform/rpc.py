"""Questions and answers over core NATS request/reply."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final, Self, TypeVar

from faststream.nats import NatsBroker, NatsMessage
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import BaseModel, ValidationError

from k1_contracts.base import Contract
from k1_contracts.graph import Violation
from k1_contracts.rpc import Answer, RpcError
from k1_platform.errors import TransientError
from k1_platform.tasks import contained

ASK_TIMEOUT_S = 5.0
TIMEOUT_HEADER: Final = "k1-timeout-ms"
"""How long the caller waits; a responder without it assumes ASK_TIMEOUT_S."""
_RESERVE_SHARE: Final = 0.1
_RESERVE_MOST_S: Final = 1.0
"""What the responder leaves of the caller's time for the way there and back."""
_ROOM_FOR_HEADERS: Final = 16 * 1024
_log = logging.getLogger(__name__)

Q = TypeVar("Q", bound=Contract)
A = TypeVar("A", bound=BaseModel)
R = TypeVar("R")


class AnswerError(Exception):
    """A question that has no answer; the answering function raises it, the asking side sees it again."""

    def __init__(self, code: str, message: str, status: int, *, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.violations = list(violations)
        """Of a graph that was refused."""

    @classmethod
    def of(cls, error: RpcError) -> Self:
        """The owner's error as the asking side raises it."""
        return cls(error.code, error.message, error.status, violations=error.violations or ())


async def ask(
    broker: NatsBroker, subject: str, question: Contract, answer: type[A], *, timeout_s: float = ASK_TIMEOUT_S
) -> A:
    """Ask the owner of `subject` and return its answer.

    Raises:
        AnswerError: the owner's own error, or `service_unavailable` (503) when nobody answers,
            or `service_timeout` (504) when the answer does not come in time.
    """
    reply = await ask_raw(broker, subject, question, timeout_s=timeout_s)
    parsed = Answer[answer].model_validate_json(reply.body)
    if parsed.error:
        raise AnswerError.of(parsed.error)
    assert parsed.result is not None
    return parsed.result


async def ask_raw(
    broker: NatsBroker, subject: str, question: Contract, *, timeout_s: float = ASK_TIMEOUT_S
) -> NatsMessage:
    """Ask and return the reply itself; raises as `ask` does, but for the owner's own errors."""
    owner = subject.split(".")[1]
    try:
        headers = {TIMEOUT_HEADER: str(round(timeout_s * 1000))}
        return await broker.request(question.to_json(), subject, headers=headers, timeout=timeout_s)
    except NoRespondersError as error:
        message = f"The {owner} service is not running; try again in a moment."
        raise AnswerError("service_unavailable", message, 503) from error
    except (NatsError, TimeoutError, OSError) as error:
        message = f"The {owner} service did not answer within {timeout_s:.0f} s; try again."
        raise AnswerError("service_timeout", message, 504) from error


def answer(
    broker: NatsBroker,
    subject: str,
    model: type[Q],
    function: Callable[[Q], Awaitable[BaseModel]],
    *,
    workers: int = 16,
    transient: tuple[type[Exception], ...] = (),
) -> None:
    """Answer the questions on `subject`, shared with the other processes of this service.

    `transient` are the errors of a dependency that is away: they are answered with 503.
    """

    async def respond(message: NatsMessage) -> bytes:
        result = await function(model.model_validate_json(message.body))
        body = b'{"result":' + result.model_dump_json(exclude_none=True).encode() + b"}"
        if len(body) > max_body(message):
            detail = f"The answer has {len(body) / 1e6:.1f} MB, more than a message holds; ask for less."
            raise AnswerError("answer_too_large", detail, 413)
        return body

    async def handle(message: NatsMessage) -> bytes:
        try:
            return await within_deadline(message, respond(message))
        except Exception as error:  # noqa: BLE001  the one place where a question's error becomes its answer
            return refusal(subject, error, transient).model_dump_json(exclude_none=True).encode()

    queue = subject.split(".")[1]
    broker.subscriber(subject, queue=queue, max_workers=workers, decoder=raw_body)(handle)


async def within_deadline(message: NatsMessage, work: Coroutine[Any, Any, R]) -> R:
    """Run the handler of a query in a task and return its result while the caller still waits.

    Raises:
        AnswerError: `service_timeout` (504); the handler is cancelled and not waited for, as it may ignore that.
        RuntimeError: it raised something that is no Exception.
    """
    task = asyncio.create_task(contained(work))
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
    owner = message.raw_message.subject.split(".")[1]
    raise AnswerError("service_timeout", f"The {owner} service did not finish in time; try again.", 504)


_abandoned: Final[set[asyncio.Task[Any]]] = set()
"""Handlers that were cancelled and have not ended yet."""


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()):
        _log.warning("a query that ran out of time failed", extra={"reason": repr(error)})


def _deadline_s(message: NatsMessage) -> float:
    given = message.headers.get(TIMEOUT_HEADER, "")
    timeout_s = int(given) / 1000 if given.isdecimal() else ASK_TIMEOUT_S
    return timeout_s - min(timeout_s * _RESERVE_SHARE, _RESERVE_MOST_S)


def max_body(message: NatsMessage) -> int:
    """How many bytes a reply to this message may have."""
    client = message.raw_message._client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the message's own
    return client.max_payload - _ROOM_FOR_HEADERS


def refusal(subject: str, error: Exception, transient: tuple[type[Exception], ...]) -> Answer[Any]:
    """The answer to a question that ended in `error`; what nobody foresaw is logged."""
    if isinstance(error, AnswerError):
        problem = RpcError(
            code=error.code, message=str(error), status=error.status, violations=error.violations or None
        )
    elif isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        problem = RpcError(code="invalid_request", message=f"{where}: {first['msg']}", status=422)
    elif isinstance(error, (TransientError, OSError, TimeoutError, NatsError, *transient)):
        _log.warning("question not answered", extra={"subject": subject, "reason": repr(error)})
        message = "A database or store behind the service does not answer; try again in a moment."
        problem = RpcError(code="service_unavailable", message=message, status=503)
    else:
        _log.error("question failed", extra={"subject": subject}, exc_info=error)
        problem = RpcError(code="internal_error", message="The service failed; it was logged.", status=500)
    return Answer(error=problem)


async def raw_body(message: Any) -> Any:
    """Questions are parsed by their contract, not by FastStream's guess from the content type."""
    return message.body
