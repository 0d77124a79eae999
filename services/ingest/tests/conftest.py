"""An ingest for the tests that do not kill it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="session")
def ingest(provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Run an ingest with long timeouts, because a busy machine may pause a client."""
    patient = {"K1_INGEST_RECEIVE_TIMEOUT_S": "600", "K1_INGEST_QUEUE_TIMEOUT_S": "600"}
    folder = tmp_path_factory.mktemp("ingest")
    with running_service("ingest", provisioned.environment | patient, folder) as running:
        yield running


@pytest.fixture
def http(ingest: RunningService) -> Iterator[httpx.Client]:
    """Return a client of ingest."""
    with httpx.Client(base_url=ingest.url, timeout=PATIENCE_S) as client:
        yield client
