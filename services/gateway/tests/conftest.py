"""A running gateway in front of a real ingest, and fakes of the other services."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.msg import Msg

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts.actors import Actor
from k1_contracts.descriptors import Query, messages_in
from k1_contracts.messages import drift, telemetry_history, webhooks
from k1_contracts.messages.accounts import authentication, users
from k1_contracts.messages.alarms import ALARM_ACKNOWLEDGE, ALARM_LIST
from k1_contracts.messages.analysis import (
    ANALYSIS_REQUEST,
    JOB_CANCEL,
    JOB_GET,
    JOB_LIST,
    JOB_RETRY,
    WORKER_LIST,
)
from k1_contracts.messages.catalogue.beats import (
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_REMOVE,
    BEAT_OVERRIDE_SAVE,
    BEATS_PREVIEW,
)
from k1_contracts.messages.catalogue.graph_edits import GRAPH_SAVE_VERSION, GRAPH_VALIDATE
from k1_contracts.messages.catalogue.graphs import (
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SIMULATE,
    KEY_LIST,
    NODE_LIST,
    PRESET_LIST,
)
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY
from k1_contracts.messages.catalogue.media import AUDIO_GET, WAVEFORM_GET
from k1_contracts.messages.catalogue.similar import TRACK_SIMILAR
from k1_contracts.messages.catalogue.storage import (
    ARTEFACT_DELETE,
    ARTEFACT_RESTORE,
    LINK_CREATE,
    LINK_LIST,
    LINK_OPEN,
    LINK_REVOKE,
    STORAGE_CLEANUP,
    STORAGE_USAGE,
)
from k1_contracts.messages.catalogue.track_edits import TRACK_BATCH, TRACK_DELETE, TRACK_EDIT, TRACK_RESTORE
from k1_contracts.messages.catalogue.track_history import TRACK_HISTORY, VERSION_COMPARE
from k1_contracts.messages.catalogue.tracks import (
    ARTEFACT_LIST,
    GENESIS_GET,
    TRACK_DETAILS,
    TRACK_GET,
    TRACK_LIST,
    VERSION_GET,
)
from k1_contracts.messages.deploy.bundles import BUNDLE_GET
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_CONTROL,
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DEPLOYMENT_PLAN,
)
from k1_contracts.messages.deploy.devices import DEVICE_ADD, DEVICE_GET, DEVICE_LIST, DEVICE_REVOKE
from k1_contracts.messages.fleet import FLEET_GET
from k1_platform.nats.actors import current_actor
from k1_platform.nats.bus.client import Bus
from k1_platform.nats.queries.query_server import Serve
from k1_platform.nats.queries.rpc import QueryHandler, _server_of
from k1_platform.nats.queries.rpc_documents import Document, respond_with_document
from services.gateway.tests import tokens
from tests.support.bus import connected_bus, flush
from tests.support.infrastructure import Infrastructure
from tests.support.servers.nats_server import running_nats_server
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S

ORIGIN = "https://show.example"


@pytest.fixture(scope="session")
def ingest(provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Run the real ingest."""
    with running_service("ingest", provisioned.environment, tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(
    ingest: RunningService, provisioned: Infrastructure, tmp_path_factory
) -> Iterator[RunningService]:
    """Run a gateway with this ingest, and with a service that is absent."""
    own = {
        "K1_GATEWAY_INGEST_URL": ingest.url,
        "K1_GATEWAY_SERVICE_URLS": '{"analysis": "http://127.0.0.1:9"}',
        "K1_GATEWAY_ALLOWED_ORIGINS": f'["{ORIGIN}"]',
    }
    folder = tmp_path_factory.mktemp("gateway")
    with running_service("gateway", provisioned.environment | own, folder) as running:
        yield running


@pytest.fixture(scope="session")
def secured(provisioned: Infrastructure, tmp_path_factory) -> Iterator[RunningService]:
    """Run a gateway where callers must sign in."""
    own = {"K1_AUTH": "on", "K1_GATEWAY_INGEST_URL": "http://127.0.0.1:9"}
    folder = tmp_path_factory.mktemp("secured")
    with running_service("gateway", provisioned.environment | own, folder) as running:
        yield running


@pytest.fixture
async def http(gateway: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the gateway."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture
async def guest(secured: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client that is not signed in."""
    async with httpx.AsyncClient(base_url=f"{secured.url}/api/v1", timeout=PATIENCE_S) as client:
        yield client


QUERIES = (
    TRACK_LIST,
    TRACK_GET,
    TRACK_DETAILS,
    TRACK_SIMILAR,
    TRACK_EDIT,
    TRACK_DELETE,
    TRACK_RESTORE,
    TRACK_BATCH,
    TRACK_HISTORY,
    VERSION_GET,
    VERSION_COMPARE,
    ARTEFACT_LIST,
    JOB_LIST,
    JOB_GET,
    JOB_CANCEL,
    JOB_RETRY,
    JOB_SET_PRIORITY,
    ANALYSIS_REQUEST,
    WORKER_LIST,
    GRAPH_GET,
    GRAPH_PUT,
    GRAPH_SAVE_VERSION,
    GRAPH_VALIDATE,
    GRAPH_SIMULATE,
    NODE_LIST,
    PRESET_LIST,
    KEY_LIST,
    BEAT_OVERRIDE_GET,
    BEAT_OVERRIDE_SAVE,
    BEAT_OVERRIDE_REMOVE,
    BEATS_PREVIEW,
    DEVICE_LIST,
    DEVICE_GET,
    DEVICE_ADD,
    DEVICE_REVOKE,
    BUNDLE_GET,
    DEPLOYMENT_PLAN,
    DEPLOYMENT_LIST,
    DEPLOYMENT_GET,
    DEPLOYMENT_CONTROL,
    AUDIO_GET,
    WAVEFORM_GET,
    ARTEFACT_DELETE,
    ARTEFACT_RESTORE,
    LINK_CREATE,
    LINK_LIST,
    LINK_OPEN,
    LINK_REVOKE,
    STORAGE_USAGE,
    STORAGE_CLEANUP,
    ALARM_LIST,
    ALARM_ACKNOWLEDGE,
    FLEET_GET,
    *(
        each
        for module in (users, authentication, webhooks, telemetry_history, drift)
        for each in messages_in(module)
        if isinstance(each, Query)
    ),
)


class Owners:
    """Fakes of the services that own data: they respond with what a test sets, and keep the queries."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.received: list[Any] = []
        self.actors: list[Actor | None] = []
        """Who sent each of them."""
        self._results: dict[str, Any] = {
            authentication.JWKS_GET.subject: tokens.JWKS,
            users.REVOCATION_LIST.subject: users.RevocationList(items=[]),
        }

    def respond_with(self, subject: str, result: Any) -> None:
        """Respond on this subject with a model, a document, or an error."""
        self._results[subject] = result

    async def subscribe(self) -> None:
        """Subscribe to every query of the gateway.

        Subscribers of FastStream would cost each test a tenth of a second of processor time.
        """
        for query in QUERIES:
            serve = _server_of(QueryHandler(query, self._handler(query.subject)), ())
            await self.bus.client.subscribe(query.subject, cb=partial(_reply, serve))
        respond_with_document(self.bus.broker, GENESIS_GET, self._handler(GENESIS_GET.subject))
        await self.bus.broker.start()

    def _handler(self, subject: str) -> Any:
        async def handle(query: Any) -> Any:
            if subject != users.REVOCATION_LIST.subject:  # the gateway asks for them by itself
                self.received.append(query)
                self.actors.append(current_actor())
            result = self._results[subject]
            if isinstance(result, Exception):
                raise result
            if isinstance(result, Document) and query.etag == result.etag:
                return Document(result.etag, None)
            return result

        return handle


async def _reply(serve: Serve, message: Msg) -> None:
    await message.respond((await serve(message)).body)


@pytest.fixture
async def owners(provisioned: object) -> AsyncIterator[Owners]:
    """Return the fakes for one test."""
    async with connected_bus(service="owners") as bus:
        owners = Owners(bus)
        await owners.subscribe()
        await flush(bus.client)
        yield owners


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a provisioned broker that a test may kill."""
    with running_nats_server(tmp_path / "own", provisioned=True) as server:
        yield server
