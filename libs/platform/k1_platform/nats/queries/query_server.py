"""Serves the messages of a query: a bounded number at a time, each in its trace and measured.

FastStream subscribes, and stops after the queries in progress have ended. Its pipeline for each message (five
middlewares, scopes of its context, a parser, task groups) is replaced, as it took more time than most queries do.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from faststream.nats import NatsBroker
from faststream.nats.subscriber.usecases.core_subscriber import ConcurrentCoreSubscriber
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from k1_contracts.descriptors import AnyQuery
from k1_platform.observability.metrics import BusMetrics

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a query."""

    body: bytes
    headers: dict[str, str] | None = None


Serve = Callable[[Msg], Awaitable[Reply]]
"""Returns the reply to each message; it raises nothing."""


def subscribe_to_query(broker: NatsBroker, query: AnyQuery[Any], serve: Serve, *, workers: int) -> None:
    """Serve a query, shared with the other processes of its service, at most `workers` messages at a time."""
    # More than one worker chooses the class whose subscription calls `_put_msg`; `places` is the real bound.
    subscriber = broker.subscriber(query.subject, queue=query.service, max_workers=2)
    subscriber(_replaced)
    assert isinstance(subscriber, ConcurrentCoreSubscriber)
    metrics = next((each for each in broker.middlewares if isinstance(each, BusMetrics)), None)
    server = _QueryServer(subscriber, serve, asyncio.Semaphore(workers), metrics)
    subscriber._put_msg = server.take  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  what the subscription calls


async def _replaced(_: Any) -> None:
    """Make FastStream subscribe, as it does not without a handler; `_QueryServer` gets the messages."""


@dataclass(frozen=True, slots=True)
class _QueryServer:
    subscriber: ConcurrentCoreSubscriber
    serve: Serve
    places: asyncio.Semaphore
    metrics: BusMetrics | None
    tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def take(self, msg: Msg) -> None:
        """Begin to serve a message as soon as there is a place; until then the subscription keeps the next ones."""
        await self.places.acquire()
        task = asyncio.create_task(self._handle(msg))
        self.tasks.add(task)
        task.add_done_callback(self._leave)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.places.release()
        if not task.cancelled() and (error := task.exception()):
            _log.error("query not answered", extra={"subject": self.subscriber.subject}, exc_info=error)

    async def _handle(self, message: Msg) -> None:
        if not self.subscriber.running or not message.reply:
            return
        started = time.perf_counter()
        with self.subscriber.lock, _trace_of(message):
            reply = await self.serve(message)
            try:
                await message._client.publish(  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  its own connection
                    message.reply, reply.body, headers=reply.headers
                )
            except (NatsError, OSError) as error:
                _log.warning("reply not sent", extra={"subject": message.subject, "reason": repr(error)})
        if self.metrics is not None:
            self.metrics.observe_query(message.subject, len(message.data), time.perf_counter() - started)


@contextmanager
def _trace_of(message: Msg) -> Generator[None]:
    """Continue the trace of a message. A span is made only for one that is recorded, or to begin a trace."""
    found = _PROPAGATOR.extract(message.headers or {})
    parent = trace.get_current_span(found).get_span_context()
    if parent.is_valid and not parent.trace_flags.sampled:
        token = context.attach(found)
        try:
            yield
        finally:
            context.detach(token)
        return
    name = f"{message.subject} process"
    with trace.get_tracer(__name__).start_as_current_span(name, context=found, kind=trace.SpanKind.SERVER):
        yield
