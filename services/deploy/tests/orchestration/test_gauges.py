"""The gauges of deployments and devices, from the real tables."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from k1_contracts.messages.telemetry import Presence
from k1_deploy.devices import device_store
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.orchestration.observability.gauges import DeployGauges
from k1_platform.postgres.pool import Pool
from services.deploy.tests import queued_deployments


async def test_waiting_deployments_and_absent_devices_are_measured(pool: Pool) -> None:
    """The oldest last step counts, without paused and ended deployments; revoked devices do not count."""
    registry, presence = CollectorRegistry(), PresenceCache(6.0)
    gauges = DeployGauges(registry, presence)
    waiting = [await queued_deployments.add(pool, ["a", "b", "c"], number) for number in range(1, 5)]
    changes = (
        "updated_at = now() - interval '10 minutes'",
        "updated_at = now() - interval '1 hour'",
        "updated_at = now() - interval '2 hours', paused = true",
        "updated_at = now() - interval '3 hours', status = 'failed', ended_at = now()",
    )
    now = datetime.now(UTC)
    presence.put("a", Presence(device_id="a", online_since=now, last_seen=now))
    async with pool.acquire() as connection:
        for deployment_id, change in zip(waiting, changes, strict=True):
            await connection.execute(f"UPDATE deploy.deployments SET {change} WHERE id = $1", deployment_id)
        await device_store.set_revoked(connection, ["c"], now)
        await gauges.measure(connection)

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

    waited = value("k1_deploy_oldest_change_seconds", status="queued")
    assert 3600 <= waited < 2 * 3600
    assert value("k1_deploy_oldest_change_seconds", status="staging") == 0
    assert registry.get_sample_value("k1_deploy_oldest_change_seconds", {"status": "failed"}) is None
    assert (
        value("k1_deploy_devices", presence="online"),
        value("k1_deploy_devices", presence="offline"),
    ) == (1, 1)
