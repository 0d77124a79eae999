"""Queries over a real NATS server: each gets a response within its time, whatever its handler does."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from faststream.nats import NatsBroker
from nats.aio.msg import Msg
from pydantic import BaseModel

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.base import Contract
from k1_contracts.descriptors import DocumentQuery, Query
from k1_contracts.rpc import Response
from k1_platform.nats.bus.client import Bus, broker_options, connect
from k1_platform.nats.queries.rpc import TIMEOUT_HEADER, QueryError, QueryHandler, request, respond
from k1_platform.nats.queries.rpc_documents import Document, request_document, respond_with_document
from k1_platform.processes.threads import in_thread


class Misbehave(Contract):
    """Which way."""

    how: str


class Word(BaseModel):
    """The response of a handler that behaves."""

    text: Any = "fine"


QUERY = Query("rpc.test.answer.get", Misbehave, Word, summary="A query that goes wrong in many ways")
DOCUMENT = DocumentQuery("rpc.test.document.get", Misbehave, Word, summary="The same for a document")


def _empty() -> None:
    next(iter(()))


async def _deaf() -> None:
    """Hangs, and goes on after it was cancelled."""
    while released and not released[0].is_set():
        try:
            await released[0].wait()
        except asyncio.CancelledError:
            continue


released: list[asyncio.Event] = []
RAISED: dict[str, BaseException] = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "cancelled": asyncio.CancelledError(),
    "generator exit": GeneratorExit(),
    "stop async": StopAsyncIteration(),
    "memory": MemoryError(),
    "timeout": TimeoutError(),
    "odd": BaseExceptionGroup("several", [SystemExit(1)]),
}


async def handle(question: Misbehave) -> Word:
    how = question.how
    if how in RAISED:
        raise RAISED[how]
    if how == "stop iteration":
        await in_thread(_empty)
    if how == "own task":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
    if how == "hangs":
        await asyncio.Event().wait()
    if how == "deaf":
        await _deaf()
    return Word(text={"surrogate": "\ud800", "large": "x" * 9_000_000}.get(how, "fine"))


async def handle_document(question: Misbehave) -> Document:
    await handle(question)
    return Document("tag", os.urandom(9_000_000) if question.how == "large" else b"")


EXPECTED = {
    **dict.fromkeys(RAISED, ("internal_error", 500)),
    "timeout": ("service_unavailable", 503),
    "stop iteration": ("internal_error", 500),
    "own task": ("internal_error", 500),
    "surrogate": ("internal_error", 500),
    "large": ("answer_too_large", 413),
    "hangs": ("service_timeout", 504),
    "deaf": ("service_timeout", 504),
}


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A broker with one worker for each subject: a handler that keeps it would stop all others."""
    broker = NatsBroker(**broker_options(nats_server.settings), logger=None)
    bus = await connect(broker)
    respond(bus.broker, [QueryHandler(QUERY, handle)], workers=1)
    respond_with_document(bus.broker, DOCUMENT, handle_document, workers=1)
    await broker.start()
    released[:] = [asyncio.Event()]
    yield bus
    released[0].set()
    await broker.stop()


async def query(bus: Bus, subject: str, how: str) -> Any:
    """The responder's own answer: its caller waits for longer than it says, so only the responder can end it."""
    headers = {TIMEOUT_HEADER: "300" if how in {"hangs", "deaf"} else "60000"}
    return await bus.broker.request(Misbehave(how=how).to_json(), subject, headers=headers, timeout=60)


@pytest.mark.parametrize("how", EXPECTED)
async def test_every_query_gets_a_response(bus: Bus, how: str) -> None:
    """The responder says what went wrong, before its caller gives up, and the next query finds it well."""
    error = Response[Word].model_validate_json((await query(bus, QUERY.subject, how)).body).error
    assert error is not None
    assert (error.code, error.status) == EXPECTED[how]
    assert await request(bus.broker, QUERY, Misbehave(how="well"), timeout_s=60) == Word()


@pytest.mark.parametrize("how", [how for how in EXPECTED if how != "surrogate"])
async def test_so_does_every_query_for_a_document(bus: Bus, how: str) -> None:
    """The same for documents."""
    error = Response[Word].model_validate_json((await query(bus, DOCUMENT.subject, how)).body).error
    assert error is not None
    code, status = EXPECTED[how]
    assert (error.code, error.status) == ("slice_too_large" if how == "large" else code, status)
    assert await request_document(bus.broker, DOCUMENT, Misbehave(how="well"), timeout_s=60)


async def test_the_caller_says_how_long_it_waits(bus: Bus) -> None:
    """In a header; the owner's error is raised as it was sent."""
    seen: list[str] = []
    patience = Query("rpc.test.patience.get", Misbehave, Word, summary="A slow query")

    async def serve(message: Msg) -> None:
        seen.append((message.headers or {})[TIMEOUT_HEADER])
        await message.respond(b'{"error": {"code": "gone", "message": "Gone.", "status": 410}}')

    await bus.client.subscribe(patience.subject, cb=serve)
    await bus.client.flush()
    with pytest.raises(QueryError, match="Gone"):
        await request(bus.broker, patience, Misbehave(how="well"), timeout_s=42.5)
    assert seen == ["42500"]


async def test_a_thread_reports_every_exception() -> None:
    """StopIteration, which a Future cannot carry, arrives as RuntimeError; others arrive as they are."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(in_thread(_empty), 60)
    with pytest.raises(ValueError, match="x"):
        await in_thread(int, "x")
