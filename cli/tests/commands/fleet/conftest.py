"""A real gateway and NATS server with a stub of deploy, and the command line on them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cli.tests.command_runner import home_of_stack
from cli.tests.commands.fleet.deploy_stub import K1, Deploy
from tests.support.bus import connected_bus, flush
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import RunningService, running_service


@pytest.fixture(scope="module")
def real_gateway(
    provisioned: Infrastructure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    with running_service("gateway", provisioned.environment, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def k1(real_gateway: RunningService, provisioned: Infrastructure, tmp_path: Path) -> Iterator[K1]:
    with home_of_stack(tmp_path / "home", real_gateway.url, provisioned.environment) as home:
        yield K1(home)


@pytest.fixture
async def deploy(provisioned: Infrastructure) -> AsyncIterator[Deploy]:
    async with connected_bus(service="deploy") as bus:
        deploy = Deploy(bus)
        deploy.subscribe()
        await bus.broker.start()
        await flush(bus.client)
        yield deploy
