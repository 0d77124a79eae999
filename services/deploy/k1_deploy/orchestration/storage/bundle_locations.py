"""Stores where bundles are, and makes the commands to stage them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from k1_contracts.messages.deploy.bundles import BundleInfo
from k1_contracts.messages.deploy.device_link import CHUNK_MAX_BYTES, RunningBundle, Stage
from k1_platform.postgres.pool import Connection, Pool
from k1_platform.storage.objects import ObjectStore

URL_EXPIRES: Final = timedelta(hours=1)
"""A device that was disconnected continues with the same URL."""


@dataclass(frozen=True, slots=True)
class BundleLocation:
    """A bundle and its key in the object store."""

    bundle: RunningBundle
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class BundleLocator:
    """Finds bundles that were deployed before, and signs their URLs."""

    pool: Pool
    objects: ObjectStore

    async def find(self, sha256: str) -> BundleLocation | None:
        """Return the location of a bundle that was deployed before; None when it is unknown."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT key, size, track_id, version FROM deploy.bundles WHERE sha256 = $1", sha256
            )
        if row is None:
            return None
        bundle = RunningBundle(bundle_sha256=sha256, track_id=row["track_id"], version=row["version"])
        return BundleLocation(bundle, row["size"], row["key"])

    def stage(self, location: BundleLocation, command_id: str) -> Stage:
        """Return the command to fetch a bundle; its URL is valid for an hour."""
        assert location.bundle.track_id is not None
        assert location.bundle.version is not None
        return Stage(
            command_id=command_id,
            bundle_sha256=location.bundle.bundle_sha256,
            size=location.size,
            url=self.objects.signed_url(location.key, expires=URL_EXPIRES),
            chunk_size=CHUNK_MAX_BYTES,
            track_id=location.bundle.track_id,
            version=location.bundle.version,
        )


def location_of(info: BundleInfo) -> BundleLocation:
    """Return the location of a deployment's bundle."""
    ref = info.bundle
    bundle = RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)
    return BundleLocation(bundle, ref.size, info.key)


async def save_location(connection: Connection, info: BundleInfo) -> None:
    """Store the location of a bundle, because a device may have to go back to it."""
    await connection.execute(
        "INSERT INTO deploy.bundles (sha256, key, size, track_id, version) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        info.bundle.sha256,
        info.key,
        info.bundle.size,
        info.bundle.track_id,
        info.bundle.version,
    )
