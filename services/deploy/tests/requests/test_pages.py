"""The lists of deploy by page: every row is on exactly one page."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from k1_contracts.messages.catalogue.graphs import KeySet
from k1_contracts.messages.deploy.deployment_queries import DeploymentPage, ListDeployments
from k1_contracts.messages.deploy.devices import DevicePage, DeviceServers, ListDevices
from k1_deploy.devices.device_queries import DeviceQueries
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.requests.deployment_queries import DeploymentQueries
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool
from services.deploy.tests.deployment_lookup import FakeDeploymentLookup
from services.deploy.tests.queued_deployments import add


async def ids_of_pages(read: Callable[[str | None], Awaitable[DevicePage | DeploymentPage]]) -> list[str]:
    """Return the ids of all pages in their order."""
    seen: list[str] = []
    cursor = None
    while True:
        page = await read(cursor)
        seen += [each.id for each in page.items]
        assert page.total == 5
        if (cursor := page.next_cursor) is None:
            return seen


async def test_deployments_and_devices_by_page(pool: Pool) -> None:
    """Deployments of one time come by id, devices by id; the cursor of one list is none of the other."""
    added = [await add(pool, [f"k1-{number}"]) for number in range(5)]
    deployments = DeploymentQueries(pool, lambda _: {}, lambda: datetime.now(UTC))

    async def keys() -> KeySet:
        return KeySet(keys=[], document="{}")

    devices = DeviceQueries(
        pool,
        PresenceCache(6.0, lambda: 0.0),
        FakeDeploymentLookup(),
        None,
        keys,
        lambda: datetime.now(UTC),
        DeviceServers(),
    )
    assert await ids_of_pages(
        lambda cursor: deployments.list_deployments(ListDeployments(limit=2, cursor=cursor))
    ) == sorted(added, reverse=True)
    assert await ids_of_pages(
        lambda cursor: devices.list_devices(ListDevices(limit=2, cursor=cursor, offset=3 if cursor else 0))
    ) == [f"k1-{number}" for number in range(5)]
    of_devices = (await devices.list_devices(ListDevices(limit=1))).next_cursor
    with pytest.raises(QueryError, match="does not belong to this list"):
        await deployments.list_deployments(ListDeployments(cursor=of_devices))
