"""Adds queued deployments to the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from k1_contracts.ids import new_id
from k1_contracts.messages.deploy.deployments import RequestDeployment
from k1_deploy.devices import device_store
from k1_deploy.orchestration.storage import deployment_store
from k1_deploy.saga.entries import Opened, truncate_to_ms
from k1_deploy.saga.transitions import fold
from k1_platform.postgres.pool import Pool
from services.deploy.tests.bundles import bundle_info

NOW = truncate_to_ms(datetime.now(UTC))


async def add(pool: Pool, device_ids: Sequence[str], number: int = 1) -> str:
    """Add a queued deployment to these devices; return its id."""
    info = bundle_info(number)
    request = RequestDeployment.model_validate(
        {
            "deployment_id": new_id("dep"),
            "track_id": info.bundle.track_id,
            "version": info.bundle.version,
            "device_ids": device_ids,
            "requested_at": NOW,
        }
    )
    opened = Opened(
        at=NOW,
        bundle=info.bundle,
        device_ids=list(device_ids),
        strategy=request.strategy,
        activation=request.activation,
        guard_s=600,
    )
    row = deployment_store.DeploymentRow(request, info, [], None, closed=False)
    async with pool.acquire() as connection, connection.transaction():
        await device_store.upsert_devices(connection, device_ids, "nats", None, NOW)
        await deployment_store.insert_deployment(
            connection, row, fold(request.deployment_id, [opened]), [opened]
        )
    return request.deployment_id
