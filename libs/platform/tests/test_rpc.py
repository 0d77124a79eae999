"""Queries over a real NATS server: each gets a response within its time, whatever its handler does."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from faststream.nats import NatsBroker
from pydantic import BaseModel

from k1_cli.embedded.home import Home
from k1_cli.embedded.nats import NatsServer
from k1_contracts.base import Contract
from k1_platform.broker import Bus, broker_options, connect
from k1_platform.rpc import AnswerError, answer, ask, ask_raw
from k1_platform.rpc_documents import Document, answer_document, ask_document
from k1_platform.threads import in_thread

SUBJECT, DOCUMENT = "rpc.test.word.get", "rpc.test.document.get"


class Misbehave(Contract):
    """Which way."""

    how: str


class Word(BaseModel):
    """The response of a handler that behaves."""

    text: Any = "fine"


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
        asyncio.current_task().cancel()  # pyright: ignore[reportOptionalMemberAccess]
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


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    server = NatsServer(home)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A broker with one worker for each subject: a handler that keeps it would stop all others."""
    broker = NatsBroker(**broker_options(nats_server.settings), logger=None)
    bus = await connect(broker)
    answer(bus.broker, SUBJECT, Misbehave, handle, workers=1)
    answer_document(bus, DOCUMENT, Misbehave, handle_document, workers=1)
    await broker.start()
    released[:] = [asyncio.Event()]
    yield bus
    released[0].set()
    await broker.stop()


def _patience(how: str) -> float:
    """Short where a handler's own deadline is waited for; elsewhere only to end a hung test."""
    return 2.0 if how in {"hangs", "deaf"} else 60.0


@pytest.mark.parametrize("how", EXPECTED)
async def test_every_query_gets_a_response(bus: Bus, how: str) -> None:
    """The responder itself says what went wrong, before its caller gives up, and the next query finds it well."""
    reply = await ask_raw(bus.broker, SUBJECT, Misbehave(how=how), timeout_s=_patience(how))
    assert b'"error"' in reply.body
    with pytest.raises(AnswerError) as caught:
        await ask(bus.broker, SUBJECT, Misbehave(how=how), Word, timeout_s=_patience(how))
    assert (caught.value.code, caught.value.status) == EXPECTED[how]
    assert await ask(bus.broker, SUBJECT, Misbehave(how="well"), Word, timeout_s=60) == Word()


@pytest.mark.parametrize("how", [how for how in EXPECTED if how != "surrogate"])
async def test_so_does_every_query_for_a_document(bus: Bus, how: str) -> None:
    """The same for documents."""
    with pytest.raises(AnswerError) as caught:
        await ask_document(bus.broker, DOCUMENT, Misbehave(how=how), timeout_s=_patience(how))
    code, status = EXPECTED[how]
    assert (caught.value.code, caught.value.status) == ("slice_too_large" if how == "large" else code, status)
    assert await ask_document(bus.broker, DOCUMENT, Misbehave(how="well"), timeout_s=60)


async def test_a_thread_reports_every_exception() -> None:
    """StopIteration, which a Future cannot carry, arrives as RuntimeError; others arrive as they are."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(in_thread(_empty), 60)
    with pytest.raises(ValueError, match="x"):
        await in_thread(int, "x")
