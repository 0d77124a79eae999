"""A running gateway in front of a real ingest, and fakes of the other services."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from k1_cli.stack.embedded.servers.nats import NatsServer
from k1_contracts import subjects
from k1_contracts.messages.analysis import GetJob, ListJobs, ListWorkers, RequestTrackAnalysis
from k1_contracts.messages.bundles import GetBundle
from k1_contracts.messages.deployment_queries import (
    ControlDeployment,
    GetDeployment,
    ListDeployments,
    PlanDeployment,
)
from k1_contracts.messages.devices import GetDevice, ListDevices
from k1_contracts.messages.graphs import GetGraph, ListKeys, ListNodes, ListPresets, PutGraph, Simulate
from k1_contracts.messages.tracks import GetGenesis, GetTrack, GetVersion, ListTracks
from k1_platform.nats.client import Bus
from k1_platform.nats.rpc import respond
from k1_platform.nats.rpc_documents import Document, respond_with_document
from tests.support.bus import connected_bus, flush
from tests.support.infrastructure import Infrastructure
from tests.support.nats_server import running_nats_server
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


@pytest.fixture
async def http(gateway: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the gateway."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as client:
        yield client


QUERY_MODELS = {
    subjects.RPC_TRACK_LIST: ListTracks,
    subjects.RPC_TRACK_GET: GetTrack,
    subjects.RPC_VERSION_GET: GetVersion,
    subjects.RPC_ARTEFACT_LIST: GetVersion,
    subjects.RPC_JOB_LIST: ListJobs,
    subjects.RPC_JOB_GET: GetJob,
    subjects.RPC_JOB_CANCEL: GetJob,
    subjects.RPC_ANALYSIS_REQUEST: RequestTrackAnalysis,
    subjects.RPC_WORKER_LIST: ListWorkers,
    subjects.RPC_GRAPH_GET: GetGraph,
    subjects.RPC_GRAPH_PUT: PutGraph,
    subjects.RPC_GRAPH_SIMULATE: Simulate,
    subjects.RPC_NODE_LIST: ListNodes,
    subjects.RPC_PRESET_LIST: ListPresets,
    subjects.RPC_KEY_LIST: ListKeys,
    subjects.RPC_DEVICE_LIST: ListDevices,
    subjects.RPC_DEVICE_GET: GetDevice,
    subjects.RPC_BUNDLE_GET: GetBundle,
    subjects.RPC_DEPLOYMENT_PLAN: PlanDeployment,
    subjects.RPC_DEPLOYMENT_LIST: ListDeployments,
    subjects.RPC_DEPLOYMENT_GET: GetDeployment,
    subjects.RPC_DEPLOYMENT_CONTROL: ControlDeployment,
}


class Owners:
    """Fakes of catalogue, analysis and deploy: they respond with what a test sets, and keep the queries."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.received: list[Any] = []
        self._results: dict[str, Any] = {}

    def respond_with(self, subject: str, result: Any) -> None:
        """Respond on this subject with a model, a document, or an error."""
        self._results[subject] = result

    def subscribe(self) -> None:
        """Subscribe to every query of the gateway."""
        for subject, model in QUERY_MODELS.items():
            respond(self.bus.broker, subject, model, self._handler(subject))
        respond_with_document(
            self.bus, subjects.RPC_GENESIS_GET, GetGenesis, self._handler(subjects.RPC_GENESIS_GET)
        )

    def _handler(self, subject: str) -> Any:
        async def handle(query: Any) -> Any:
            self.received.append(query)
            result = self._results[subject]
            if isinstance(result, Exception):
                raise result
            if isinstance(result, Document) and query.etag == result.etag:
                return Document(result.etag, None)
            return result

        return handle


@pytest.fixture
async def owners(provisioned: object) -> AsyncIterator[Owners]:
    """Return the fakes for one test."""
    async with connected_bus(service="owners") as bus:
        owners = Owners(bus)
        owners.subscribe()
        await bus.broker.start()
        await flush(bus.client)
        yield owners


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """Run a provisioned broker that a test may kill."""
    with running_nats_server(tmp_path / "own", provisioned=True) as server:
        yield server
