"""A running gateway before a real ingest, and owners that answer its questions from what a test hands them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from faststream.nats import NatsBroker
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from k1_contracts import bundles, deployments, fleet, graph_queries, queries, subjects
from k1_platform.broker import Bus, connect, make_broker
from k1_platform.rpc import answer
from k1_platform.rpc_documents import Document, answer_document
from k1_platform.settings import NatsSettings
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service

ORIGIN = "https://show.example"
PATIENCE_S = 120.0
"""Only ends a hung test."""


@pytest.fixture(scope="session")
def ingest(provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The real ingest."""
    with running_service("ingest", provisioned.environment, tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(
    ingest: RunningService, provisioned: Infrastructure, tmp_path_factory
) -> Iterator[RunningService]:
    """A gateway that knows that ingest, and a service that is not there."""
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
    """A client of the API."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=PATIENCE_S) as client:
        yield client


QUERY_MODELS = {
    subjects.RPC_TRACK_LIST: queries.ListTracks,
    subjects.RPC_TRACK_GET: queries.GetTrack,
    subjects.RPC_VERSION_GET: queries.GetVersion,
    subjects.RPC_ARTEFACT_LIST: queries.GetVersion,
    subjects.RPC_JOB_LIST: queries.ListJobs,
    subjects.RPC_JOB_GET: queries.GetJob,
    subjects.RPC_JOB_CANCEL: queries.GetJob,
    subjects.RPC_ANALYSIS_REQUEST: queries.RequestTrackAnalysis,
    subjects.RPC_WORKER_LIST: queries.ListWorkers,
    subjects.RPC_GRAPH_GET: graph_queries.GetGraph,
    subjects.RPC_GRAPH_PUT: graph_queries.PutGraph,
    subjects.RPC_GRAPH_SIMULATE: graph_queries.Simulate,
    subjects.RPC_NODE_LIST: graph_queries.ListNodes,
    subjects.RPC_PRESET_LIST: graph_queries.ListPresets,
    subjects.RPC_KEY_LIST: graph_queries.ListKeys,
    subjects.RPC_DEVICE_LIST: fleet.ListDevices,
    subjects.RPC_DEVICE_GET: fleet.GetDevice,
    subjects.RPC_BUNDLE_GET: bundles.GetBundle,
    subjects.RPC_DEPLOYMENT_PLAN: deployments.PlanDeployment,
    subjects.RPC_DEPLOYMENT_LIST: deployments.ListDeployments,
    subjects.RPC_DEPLOYMENT_GET: deployments.GetDeployment,
    subjects.RPC_DEPLOYMENT_CONTROL: deployments.ControlDeployment,
}


class Owners:
    """The catalogue, the analysis and deploy, as far as the gateway can tell: it sees only answers."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.received: list[Any] = []
        self._results: dict[str, Any] = {}

    def respond_with(self, subject: str, result: Any) -> None:
        """Answer this subject with a model, or by raising an error."""
        self._results[subject] = result

    def subscribe(self) -> None:
        for subject, model in QUERY_MODELS.items():
            answer(self.bus.broker, subject, model, self._answering(subject))
        answer_document(
            self.bus, subjects.RPC_GENESIS_GET, queries.GetGenesis, self._answering(subjects.RPC_GENESIS_GET)
        )

    def _answering(self, subject: str) -> Any:
        async def reply(question: Any) -> Any:
            self.received.append(question)
            result = self._results[subject]
            if isinstance(result, Exception):
                raise result
            if isinstance(result, Document) and question.etag == result.etag:
                return Document(result.etag, None)
            return result

        return reply


@pytest.fixture
async def owners(provisioned: object) -> AsyncIterator[Owners]:
    """Owners for one test."""
    broker: NatsBroker = make_broker(
        NatsSettings(), service="owners", registry=CollectorRegistry(), tracer_provider=TracerProvider()
    )
    owners = Owners(await connect(broker))
    owners.subscribe()
    await broker.start()
    for _ in range(
        2
    ):  # nats-py's flush may overtake what waits, so only a second one proves that all was sent
        await owners.bus.client.flush()
    yield owners
    await broker.stop()
