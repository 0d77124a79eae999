"""A running gateway before a real ingest, and owners that answer its questions from what a test hands them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from faststream.nats import NatsBroker
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

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
from k1_platform.nats.client import Bus, connect, make_broker
from k1_platform.nats.rpc import respond
from k1_platform.nats.rpc_documents import Document, respond_with_document
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


QUESTIONS = {
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
    """The catalogue, the analysis and deploy, as far as the gateway can tell: it sees only answers."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.asked: list[Any] = []
        self._answers: dict[str, Any] = {}

    def says(self, subject: str, result: Any) -> None:
        """Answer this subject with a model, or by raising an error."""
        self._answers[subject] = result

    def subscribe(self) -> None:
        for subject, model in QUESTIONS.items():
            respond(self.bus.broker, subject, model, self._answering(subject))
        respond_with_document(
            self.bus, subjects.RPC_GENESIS_GET, GetGenesis, self._answering(subjects.RPC_GENESIS_GET)
        )

    def _answering(self, subject: str) -> Any:
        async def reply(question: Any) -> Any:
            self.asked.append(question)
            result = self._answers[subject]
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
