"""Responds to the query for a bundle: its cost, and which devices could run it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from k1_contracts.messages.deploy.bundles import BundleInfo, BundleView, Compatibility, GetBundle
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import DeviceRow
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.gates import compatibility, device_checks
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class BundleQueries:
    """Responds from the catalogue, the devices table and presence."""

    pool: Pool
    presence: PresenceCache
    get_bundle: Callable[[GetBundle], Awaitable[BundleInfo]]

    async def get_bundle_view(self, query: GetBundle) -> BundleView:
        """Return a bundle with its cost and, for each device, whether it could run the bundle."""
        info = await self.get_bundle(query)
        async with self.pool.acquire() as connection:
            _, rows = await device_store.list_devices(connection)
        return BundleView(
            manifest=info.manifest,
            runtime_estimate=info.runtime_estimate,
            bundle=info.bundle,
            compatibility=[self._compatibility(row, info) for row in rows],
        )

    def _compatibility(self, row: DeviceRow, info: BundleInfo) -> Compatibility:
        status, reason = compatibility(device_checks(row, self.presence.is_online(row.id), info, []))
        firmware = row.hello.firmware if row.hello else None
        return Compatibility(device_id=row.id, firmware=firmware, status=status, reason=reason)
