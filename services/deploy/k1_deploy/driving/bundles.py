"""Where devices get bundles from: those of the catalogue, and those that were deployed once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from k1_contracts.messages.bundles import BundleInfo
from k1_contracts.messages.device_link import CHUNK_MAX_BYTES, RunningBundle, Stage
from k1_platform.database import Connection, Pool
from k1_platform.objects import ObjectStore

URL_EXPIRES: Final = timedelta(hours=1)
"""A device that was cut off goes on with the same URL."""


@dataclass(frozen=True, slots=True)
class Source:
    """A bundle and where it lies in the object store."""

    bundle: RunningBundle
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class Bundles:
    """Finds them and makes the commands that stage them."""

    pool: Pool
    objects: ObjectStore

    async def find(self, sha256: str) -> Source | None:
        """A bundle that was deployed once; None: it is not known here."""
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT key, size, track_id, version FROM deploy.bundles WHERE sha256 = $1", sha256
            )
        if row is None:
            return None
        bundle = RunningBundle(bundle_sha256=sha256, track_id=row["track_id"], version=row["version"])
        return Source(bundle, row["size"], row["key"])

    def stage(self, source: Source, command_id: str) -> Stage:
        """The command to fetch it; its URL is good for an hour."""
        assert source.bundle.track_id is not None
        assert source.bundle.version is not None
        return Stage(
            command_id=command_id,
            bundle_sha256=source.bundle.bundle_sha256,
            size=source.size,
            url=self.objects.signed_url(source.key, expires=URL_EXPIRES),
            chunk_size=CHUNK_MAX_BYTES,
            track_id=source.bundle.track_id,
            version=source.bundle.version,
        )


def source_of(info: BundleInfo) -> Source:
    """The bundle of a deployment."""
    ref = info.bundle
    bundle = RunningBundle(bundle_sha256=ref.sha256, track_id=ref.track_id, version=ref.version)
    return Source(bundle, ref.size, info.key)


async def remember_bundle(connection: Connection, info: BundleInfo) -> None:
    """Know where a bundle lies for as long as a device may have to go back to it."""
    await connection.execute(
        "INSERT INTO deploy.bundles (sha256, key, size, track_id, version) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        info.bundle.sha256,
        info.key,
        info.bundle.size,
        info.bundle.track_id,
        info.bundle.version,
    )
