"""Fixtures: the harness for whole deployments, and the service as a process."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.deploy.tests.deployments.deployment_harness import DeploymentHarness, open_harness
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture
async def harness(migrated: Infrastructure) -> AsyncIterator[DeploymentHarness]:
    """Bundles, devices and an operator for one test."""
    async with open_harness() as harness:
        yield harness


@pytest.fixture(scope="module")
def service(migrated: Infrastructure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One process for all tests of a module, with a long lease; each test has its devices."""
    environment = migrated.environment | {"K1_DEPLOY_LEASE_SECONDS": "60"}
    with running_service("deploy", environment, tmp_path_factory.mktemp("deploy")) as service:
        yield service
