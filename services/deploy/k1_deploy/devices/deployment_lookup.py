"""What the deployments under way say of devices: answered by their store, asked by questions, plans and chunks."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from k1_platform.database import Connection


class DeploymentLookup(Protocol):
    """Which deployment holds which device, and what for."""

    async def find_holders(self, connection: Connection, device_ids: Sequence[str]) -> Mapping[str, str]:
        """The deployment that holds each device now; devices that nobody holds are left out."""
        ...

    async def is_staging(self, connection: Connection, device_id: str, bundle_sha256: str) -> bool:
        """Whether the device is being told to stage this bundle, to run it or to go back to it."""
        ...
