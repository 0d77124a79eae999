"""Measures deployments and devices for Prometheus: how long deployments stay in a status, who is online."""

from prometheus_client import CollectorRegistry, Gauge

from k1_deploy.devices import device_store
from k1_deploy.devices.presence_cache import PresenceCache
from k1_deploy.orchestration.storage import deployment_store
from k1_platform.postgres.pool import Connection


class DeployGauges:
    """The gauges of the process; `measure` sets them from the tables and the presence of the devices."""

    def __init__(self, registry: CollectorRegistry, presence: PresenceCache) -> None:
        """Register the gauges."""
        self._presence = presence
        self._oldest = Gauge(
            "k1_deploy_oldest_change_seconds",
            "Time since the last step of the deployment that has waited longest, without paused ones",
            ["status"],
            registry=registry,
        )
        self._devices = Gauge(
            "k1_deploy_devices", "Devices that are not revoked, by presence", ["presence"], registry=registry
        )

    async def measure(self, connection: Connection) -> None:
        """Set the gauges; called at intervals."""
        for status, seconds in (await deployment_store.longest_waits(connection)).items():
            self._oldest.labels(status).set(seconds)
        known = await device_store.list_ids(connection)
        online = sum(map(self._presence.is_online, known))
        self._devices.labels("online").set(online)
        self._devices.labels("offline").set(len(known) - online)
