"""Fixtures: the database of the service, a receiver of webhooks, and the parts of the service on both."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from k1_platform.postgres.pool import Pool, open_pool
from k1_platform.settings import PostgresSettings
from k1_webhooks.deliveries.sender import Sender
from k1_webhooks.deliveries.worker import DeliveryWorker
from k1_webhooks.endpoints.queries import WebhookQueries
from k1_webhooks.migrate import migrate
from tests.support.database import empty_tables, temporary_database
from tests.support.infrastructure import Infrastructure
from tests.support.waiting import PATIENCE_S

MASTER_KEY = bytes(range(32))


@pytest.fixture(scope="session")
def database(provisioned: Infrastructure) -> Iterator[PostgresSettings]:
    """A database for these tests only."""
    with temporary_database(provisioned.environment["K1_POSTGRES_DSN"], "webhooks", migrate) as settings:
        yield settings


@pytest.fixture
async def pool(database: PostgresSettings) -> AsyncIterator[Pool]:
    """Connections to a database with empty tables."""
    async with await open_pool(database, "test") as pool:
        await empty_tables(pool, "webhooks")
        yield pool


@dataclass
class Receiver:
    """An HTTP server that takes deliveries and answers as it is told."""

    url: str = ""
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append((headers, await request.read()))
        return web.Response(status=self.status, headers=self.headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    async with TestServer(application) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


@pytest.fixture
def queries(pool: Pool) -> WebhookQueries:
    """The queries, where private addresses are allowed."""
    return WebhookQueries(pool, MASTER_KEY, allow_private=True, clock=lambda: datetime.now(UTC))


@pytest.fixture
async def worker(pool: Pool) -> AsyncIterator[DeliveryWorker]:
    """The worker, where private addresses are allowed."""
    sender = Sender.open(MASTER_KEY, allow_private=True, timeout_s=PATIENCE_S)
    yield DeliveryWorker(pool, sender, PATIENCE_S, 16, timedelta(days=30), CollectorRegistry())
    await sender.http.close()
