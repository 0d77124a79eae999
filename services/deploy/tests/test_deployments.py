"""Whole deployments: the service as a process, real servers, devices that keep the link's protocol."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.deploy.tests.theatre import Theatre, open_theatre, until
from tests.support.infrastructure import Infrastructure
from tests.support.service_process import running_service


@pytest.fixture
async def theatre(migrated: Infrastructure) -> AsyncIterator[Theatre]:
    async with open_theatre() as theatre:
        yield theatre


@pytest.fixture
def service(migrated: Infrastructure, tmp_path: Path):
    with running_service("deploy", migrated.environment, tmp_path) as service:
        yield service


@pytest.mark.usefixtures("service")
async def test_success(theatre: Theatre) -> None:
    """Every device runs the new bundle from one moment on, and is expected to from now on."""
    devices = await theatre.add_devices(10)
    view = await theatre.until_status(await theatre.order(devices), "succeeded")
    assert theatre.all_run(devices, theatre.new)
    assert view.counts == {"committed": 10}
    assert {await theatre.expected(device) for device in devices} == {theatre.new.bundle.sha256}
    steps = ["check", "stage", "activate", "verify", "observe", "commit"]
    assert [[step.step for step in device.steps] for device in view.devices] == [steps] * 10
    changed = [device.activated_at[0] for device in devices]
    assert max(changed) - min(changed) < 0.2
