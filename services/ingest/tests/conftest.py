"""One ingest for the tests that do not kill it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture(scope="session")
def ingest(provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A running ingest."""
    with running_service("ingest", provisioned.environment, tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture
def http(ingest: RunningService) -> Iterator[httpx.Client]:
    """A client of it."""
    with httpx.Client(base_url=ingest.url, timeout=60) as client:
        yield client
