"""The actor of a request travels with every message, and its role is checked where the message arrives."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from aiohttp import ClientSession, web
from faststream.nats import NatsBroker
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.actors import ROLES, Actor, ActorKind, Role, role_includes
from k1_contracts.base import Contract
from k1_contracts.descriptors import DocumentQuery, Query
from k1_contracts.envelope import ACTOR_HEADER, Envelope, EnvelopeError, envelope_for
from k1_platform.nats.actors import acting_as, acting_name, actor_headers, actor_of, current_actor
from k1_platform.nats.bus.client import Bus, broker_options, connect
from k1_platform.nats.http_actors import act_as_sender
from k1_platform.nats.queries.rpc import QueryError, QueryHandler, request, respond
from k1_platform.nats.queries.rpc_documents import Document, request_document, respond_with_document

NOW = datetime(2026, 1, 31, tzinfo=UTC)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
actors = st.builds(
    Actor,
    kind=st.sampled_from(get_args(ActorKind)),
    id=texts,
    name=texts,
    role=st.sampled_from(ROLES),
    address=st.none() | texts,
)


def actor(role: Role = "editor", kind: ActorKind = "user", name: str = "Änne\r\nx: y") -> Actor:
    return Actor(kind=kind, id="usr_1", name=name, role=role, address="2001:db8::1")


@given(actors)
def test_any_actor_fits_into_a_header(found: Actor) -> None:
    """The header is one line of ASCII, whatever the name holds."""
    header = found.to_header()
    assert header.isascii()
    assert header.isprintable()
    assert actor_of({ACTOR_HEADER: header}) == found
    envelope = envelope_for("x", event_id="e", source="test", about="trk", at=NOW, actor=found)
    assert Envelope.from_headers(envelope.headers()).actor == found


@given(st.text(max_size=40))
def test_a_malformed_actor_is_no_envelope(header: str) -> None:
    """An event whose actor cannot be read is refused, not handled as if a service had acted."""
    headers = envelope_for("x", event_id="e", source="test", about="trk", at=NOW).headers()
    assert Envelope.from_headers(headers).actor is None
    if header:
        with pytest.raises(EnvelopeError):
            Envelope.from_headers(headers | {ACTOR_HEADER: header})


def test_roles_include_the_lower_ones() -> None:
    """Each may do what the ones before it may."""
    for at, role in enumerate(ROLES):
        assert [role_includes(role, required) for required in ROLES] == [i <= at for i in range(len(ROLES))]


def test_a_person_has_one_name() -> None:
    """Someone who signed in cannot state another; without sign-in the stated name is all that is known."""
    assert acting_name("Bob") == "Bob"
    with acting_as(actor(kind="local")):
        assert acting_name("Bob") == "Bob"
    with acting_as(actor(name="Ann ")):
        assert acting_name("Bob") == "Ann"
    with acting_as(actor(name="x" * 200)):
        assert acting_name("Bob") == "x" * 100
    with acting_as(actor(name=" ")):
        assert acting_name("Bob") == "usr_1"


async def test_tasks_inherit_the_actor() -> None:
    """Also one that outlives the block; the caller's own actor comes back."""
    with acting_as(actor()):
        task = asyncio.create_task(_later())
        with acting_as(None):
            assert current_actor() is None
        assert current_actor() == actor()
    assert current_actor() is None
    assert await task == actor()


async def _later() -> Actor | None:
    await asyncio.sleep(0)
    return current_actor()


# ---------------------------------------------------------------- queries


class Ask(Contract):
    """Nothing."""


class Told(BaseModel):
    """Who asked."""

    by: Actor | None = None


QUERY = Query("rpc.test.actor.get", Ask, Told, summary="Who asks", role="editor")
DOCUMENT = DocumentQuery("rpc.test.actordoc.get", Ask, Told, summary="The same for a document", role="editor")


async def tell(_: Ask) -> Told:
    return Told(by=current_actor())


async def tell_in_document(_: Ask) -> Document:
    found = current_actor()
    return Document(found.id if found else "nobody", b"")


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A broker that responds to both queries."""
    bus = await connect(NatsBroker(**broker_options(nats_server.settings), logger=None))
    respond(bus.broker, [QueryHandler(QUERY, tell)])
    respond_with_document(bus.broker, DOCUMENT, tell_in_document)
    await bus.broker.start()
    yield bus
    await bus.broker.stop()


async def test_a_responder_acts_as_the_caller(bus: Bus) -> None:
    """A service that acts by itself may ask everything; the next query has no actor of the one before."""
    assert (await request(bus.broker, QUERY, Ask())).by is None
    with acting_as(actor("operator")):
        assert (await request(bus.broker, QUERY, Ask())).by == actor("operator")
        assert (await request_document(bus.broker, DOCUMENT, Ask())).etag == "usr_1"
    assert (await request(bus.broker, QUERY, Ask())).by is None


async def test_a_responder_refuses_a_lower_role(bus: Bus) -> None:
    """The sentence names the role that is needed; the handler is not called."""
    with acting_as(actor("viewer")):
        for send in (request(bus.broker, QUERY, Ask()), request_document(bus.broker, DOCUMENT, Ask())):
            with pytest.raises(QueryError, match="needs the role editor") as caught:
                await send
            assert (caught.value.code, caught.value.status) == ("role_required", 403)


async def test_a_malformed_actor_is_refused(bus: Bus) -> None:
    """It does not count as a service that acts by itself."""
    reply = await bus.client.request(
        QUERY.subject, b"{}", headers={ACTOR_HEADER: '{"kind": "god"}'}, timeout=5
    )
    assert b'"error"' in reply.data
    assert b'"result"' not in reply.data


# ---------------------------------------------------------------- HTTP between services


async def test_a_service_acts_as_the_sender_of_an_upload() -> None:
    """An upload travels over HTTP, with the same header."""

    async def handle(_request: web.Request) -> web.Response:
        found: Any = current_actor()
        return web.Response(text=found.name if found else "nobody")

    app = web.Application(middlewares=[act_as_sender])
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    with acting_as(actor()):
        headers = actor_headers()
    async with ClientSession() as http:
        for sent, expected in ((headers, (200, actor().name)), ({}, (200, "nobody"))):
            async with http.get(url, headers=sent) as response:
                assert (response.status, await response.text()) == expected
        async with http.get(url, headers={ACTOR_HEADER: "{}"}) as response:
            assert response.status == 400
    await runner.cleanup()
