"""What device queries, plans and chunk requests need to know about the deployments in progress."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from k1_platform.postgres.pool import Connection


class DeploymentLookup(Protocol):
    """Finds the deployment that locks a device, and whether a device may fetch a bundle."""

    async def find_holders(self, connection: Connection, device_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the deployment that locks each device now; unlocked devices are left out."""
        ...

    async def is_staging(self, connection: Connection, device_id: str, bundle_sha256: str) -> bool:
        """Return whether a deployment stages this bundle on the device, to activate it or to roll back to it."""
        ...
