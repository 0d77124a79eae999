"""A fake of the deployments in progress."""

from collections.abc import Mapping, Sequence

from k1_platform.postgres.pool import Connection


class FakeDeploymentLookup:
    """Returns the locks and staging devices that a test sets."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.staging: set[tuple[str, str]] = set()

    async def find_holders(self, connection: Connection, device_ids: Sequence[str]) -> Mapping[str, str]:
        return {device_id: self.held[device_id] for device_id in device_ids if device_id in self.held}

    async def is_staging(self, connection: Connection, device_id: str, bundle_sha256: str) -> bool:
        return (device_id, bundle_sha256) in self.staging
