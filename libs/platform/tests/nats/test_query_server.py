"""Queries beside each other: how many at a time, in which trace, with which figures, and at the end of the process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.base import Contract
from k1_contracts.descriptors import Query
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.rpc import QueryHandler, request, respond
from tests.support.bus import connected_bus
from tests.support.waiting import eventually

WORKERS = 3


class Ask(Contract):
    """A query without parameters."""


class Trace(BaseModel):
    """The trace in which the query was handled."""

    trace_id: int
    recorded: bool


QUERY = Query("rpc.test.trace.get", Ask, Trace, summary="The trace of the query")


@dataclass(slots=True)
class Handler:
    """Counts the queries that it has begun; each waits until it is open."""

    begun: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, _: Ask) -> Trace:
        self.begun += 1
        await self.open.wait()
        span = trace.get_current_span()
        return Trace(trace_id=span.get_span_context().trace_id, recorded=span.is_recording())


@pytest.fixture
def handler() -> Handler:
    return Handler()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def bus(nats_server: NatsServer, handler: Handler, registry: CollectorRegistry) -> AsyncIterator[Bus]:
    async with connected_bus(nats_server.settings, registry=registry) as bus:
        respond(bus.broker, [QueryHandler(QUERY, handler.handle)], workers=WORKERS)
        await bus.broker.start()
        yield bus
        handler.open.set()


async def test_no_more_at_a_time_than_workers(
    bus: Bus, handler: Handler, registry: CollectorRegistry
) -> None:
    """Further queries wait, and all are answered and counted."""
    number = 3 * WORKERS
    asked = [asyncio.create_task(request(bus.broker, QUERY, Ask())) for _ in range(number)]

    async def all_begun() -> bool:
        return handler.begun >= WORKERS

    await eventually(all_begun, "the first queries have begun")
    await bus.client.flush()
    assert handler.begun == WORKERS
    handler.open.set()
    await asyncio.gather(*asked)
    labels = {"app_name": "test", "broker": "nats", "handler": QUERY.subject}
    count = registry.get_sample_value("k1_bus_received_messages_total", labels)
    timed = registry.get_sample_value("k1_bus_received_processed_messages_duration_seconds_count", labels)
    assert (handler.begun, count, timed) == (number, number, number)


async def test_the_end_of_the_process_waits_for_answers(bus: Bus, handler: Handler) -> None:
    asked = asyncio.create_task(request(bus.broker, QUERY, Ask()))

    async def has_begun() -> bool:
        return handler.begun > 0

    await eventually(has_begun, "the query has begun")
    subscriber = bus.broker.subscribers[0]
    stopping = asyncio.create_task(subscriber.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    handler.open.set()
    await stopping
    assert await asked


@pytest.mark.parametrize("recorded", [True, False])
async def test_trace_goes_on(
    bus: Bus, handler: Handler, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    """Both sides have a span of the caller's trace if it is recorded; else its id is only passed on."""
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    handler.open.set()
    with provider.get_tracer("test").start_as_current_span("asking") as asking:
        caller = asking.get_span_context()
        if recorded:
            found = await request(bus.broker, QUERY, Ask())
        else:
            unsampled = trace.SpanContext(caller.trace_id, caller.span_id, is_remote=False)
            with trace.use_span(trace.NonRecordingSpan(unsampled)):
                found = await request(bus.broker, QUERY, Ask())
    assert found == Trace(trace_id=caller.trace_id, recorded=recorded)
    names = {span.name for span in spans.get_finished_spans()}
    of_query = {f"{QUERY.subject} request", f"{QUERY.subject} process"}
    assert names == {"asking"} | (of_query if recorded else set())
