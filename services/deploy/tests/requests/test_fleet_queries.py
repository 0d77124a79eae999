"""The figures of the fleet that deploy knows, with real tables."""

from datetime import UTC, datetime

from k1_contracts.messages.fleet import GetFleetDevices
from k1_contracts.messages.telemetry import Presence
from k1_deploy.devices import device_store
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.requests.fleet_queries import FleetQueries
from k1_platform.postgres.pool import Pool
from services.deploy.tests.scripted_device import bundle, hello

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_active_devices_are_counted_by_what_they_report(pool: Pool) -> None:
    """Those that are offline or revoked do not count, and the worst drift is the farthest from zero."""
    presence = PresenceCache(6.0, lambda: 0.0)
    ids = ["d0", "d1", "d2", "d3", "d4"]
    async with pool.acquire() as connection:
        await device_store.upsert_devices(connection, ids, "nats", None, NOW)
        await device_store.set_revoked(connection, ["d4"], NOW)
        for device_id, active in (("d0", bundle(1)), ("d1", bundle(1)), ("d2", None)):
            said = hello(device_id).model_copy(update={"active": active})
            await device_store.save_hello(connection, said, NOW)
    for device_id, drift in (("d0", 3.0), ("d1", -41.5), ("d3", None), ("d4", 99.0)):
        entry = Presence(device_id=device_id, online_since=NOW, last_seen=NOW, drift_ms=drift)
        presence.put(device_id, entry)
    found = await FleetQueries(pool, presence).get_fleet_devices(GetFleetDevices())
    assert (found.devices, found.active_devices, found.deployments_running) == (4, 3, 0)
    assert (found.worst_drift_device_id, found.worst_drift_ms) == ("d1", -41.5)
    firmware = hello("d0").firmware
    assert [(each.firmware, each.devices) for each in found.by_firmware] == [(firmware, 2), (None, 1)]
    assert [(each.bundle_sha256, each.devices) for each in found.by_bundle] == [
        (bundle(1).bundle_sha256, 2),
        (None, 1),
    ]
