"""Responds to the query for the figures of the fleet that deploy knows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_contracts.messages.fleet import BundleCount, FirmwareCount, FleetDevices, GetFleetDevices
from k1_deploy.devices import device_store
from k1_deploy.devices.device_store import ReportedState
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.orchestration.storage import deployment_store
from k1_deploy.saga.state import LOCKING
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class FleetQueries:
    """Counts the devices by what they report, and the deployments."""

    pool: Pool
    presence: PresenceCache

    async def get_fleet_devices(self, _: GetFleetDevices) -> FleetDevices:
        """Return the figures of this moment."""
        async with self.pool.acquire() as connection:
            reported = await device_store.reported_states(connection)
            deployments = await deployment_store.count_by_status(connection)
        online = {id_: state for id_, state in reported.items() if self.presence.is_online(id_)}
        worst_id, worst_ms = self._worst_drift(online)
        return FleetDevices(
            devices=len(reported),
            active_devices=len(online),
            by_firmware=[
                FirmwareCount(firmware=firmware, devices=count)
                for firmware, count in Counter(state.firmware for state in online.values()).most_common()
            ],
            by_bundle=[
                _bundle_count(bundle, count)
                for bundle, count in Counter(state.running for state in online.values()).most_common()
            ],
            deployments_running=sum(deployments[status] for status in LOCKING),
            worst_drift_ms=worst_ms,
            worst_drift_device_id=worst_id,
        )

    def _worst_drift(self, online: Mapping[str, ReportedState]) -> tuple[str | None, float | None]:
        drifts = {id_: drift for id_ in online if (drift := self.presence.drift_ms(id_)) is not None}
        if not drifts:
            return None, None
        worst = max(drifts, key=lambda id_: abs(drifts[id_]))
        return worst, drifts[worst]


def _bundle_count(bundle: RunningBundle | None, count: int) -> BundleCount:
    if bundle is None:
        return BundleCount(devices=count)
    return BundleCount(
        bundle_sha256=bundle.bundle_sha256,
        track_id=bundle.track_id,
        version=bundle.version,
        devices=count,
    )
