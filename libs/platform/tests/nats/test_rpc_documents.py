"""Documents as responses, over a real NATS server."""

import json
import os
from collections.abc import AsyncIterator

import pytest
from faststream.nats import NatsBroker

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.base import Contract
from k1_contracts.descriptors import DocumentQuery
from k1_platform.errors import TransientError
from k1_platform.nats.bus.client import Bus, broker_options, connect
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.nats.queries.rpc_documents import (
    Document,
    compress_document,
    request_document,
    respond_with_document,
)


class GetPage(Contract):
    size: int
    etag: str | None = None


class Page(Contract):
    page: str


PAGE = DocumentQuery("rpc.test.page.get", GetPage, Page, summary="A page of noise")


async def page(query: GetPage) -> Document:
    """A document of noise, so that compressing does not make it small."""
    if query.size == 0:
        raise QueryError("page_not_found", "There is no such page.", 404)
    if query.size < 0:
        raise TransientError("the printer is away")
    tag = f"page-{query.size}"
    if query.etag == tag:
        return Document(tag, None)
    return await compress_document(tag, json.dumps({"page": os.urandom(query.size // 2).hex()}).encode())


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A broker that serves `PAGE`."""
    broker = NatsBroker(**broker_options(nats_server.settings), logger=None)
    bus = await connect(broker)
    respond_with_document(broker, PAGE, page)
    await broker.start()
    yield bus
    await broker.stop()


async def test_a_document_arrives_whole_with_its_tag(bus: Bus) -> None:
    """The document arrives as it was sent, with its tag."""
    found = await request_document(bus.broker, PAGE, GetPage(size=300_000), timeout_s=60)
    assert found.etag == "page-300000"
    assert len(json.loads(found.json())["page"]) == 300_000


async def test_content_that_the_asker_holds_is_not_sent_again(bus: Bus) -> None:
    """The same tag again is `not modified`: no body travels."""
    found = await request_document(bus.broker, PAGE, GetPage(size=2000, etag="page-2000"), timeout_s=60)
    assert found == Document("page-2000", None)


@pytest.mark.parametrize(
    ("size", "code", "status"),
    [
        (0, "page_not_found", 404),
        (-1, "service_unavailable", 503),
        (18_000_000, "slice_too_large", 413),
    ],
)
async def test_errors_arrive_as_errors(bus: Bus, size: int, code: str, status: int) -> None:
    """The owner's refusals, a dependency that is away and a document too large each have their code."""
    with pytest.raises(QueryError) as caught:
        await request_document(bus.broker, PAGE, GetPage(size=size), timeout_s=60)
    assert (caught.value.code, caught.value.status) == (code, status)


async def test_an_absent_owner_is_reported(bus: Bus) -> None:
    """A query that no service serves is an error at once, not a timeout."""
    absent = DocumentQuery("rpc.absent.page.get", GetPage, Page, summary="A query without a service")
    with pytest.raises(QueryError) as caught:
        await request_document(bus.broker, absent, GetPage(size=10), timeout_s=60)
    assert caught.value.code == "service_unavailable"
