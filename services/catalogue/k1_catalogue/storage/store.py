"""The tables of cleanups, and the largest artefacts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from k1_catalogue.storage import reference_store
from k1_catalogue.storage.cleanup_plan import Usage
from k1_contracts.messages.catalogue.storage import LargeArtefact, StorageCleanup
from k1_platform.postgres.pool import Connection, Pool

MAX_LARGEST: Final = 10


@dataclass(frozen=True, slots=True)
class UsageTables:
    """What the tables know of objects."""

    pool: Pool
    retention: timedelta
    """How long a deleted artefact can be restored."""

    async def usage(self, keys: Sequence[str], now: datetime) -> Usage:
        """Return what is known of these keys."""
        async with self.pool.acquire() as connection:
            return await reference_store.read_usage(connection, keys, now, self.retention)

    async def remove_expired(self, now: datetime) -> Collection[str]:
        """Remove the rows of artefacts that can no longer be restored; return their keys."""
        async with self.pool.acquire() as connection:
            return await reference_store.remove_expired_artefacts(connection, now, self.retention)

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget keys whose objects were removed."""
        async with self.pool.acquire() as connection:
            await reference_store.forget_retired(connection, keys)


async def record_cleanup(connection: Connection, done: StorageCleanup, actor: str, at: datetime) -> None:
    """Record who removed how much, and when."""
    await connection.execute(
        "INSERT INTO catalogue.cleanups (at, actor, objects, bytes) VALUES ($1, $2, $3, $4)",
        at,
        actor,
        done.objects,
        done.bytes,
    )


async def last_cleanup(connection: Connection) -> datetime | None:
    """Return when a cleanup ran last."""
    return await connection.fetchval("SELECT max(at) FROM catalogue.cleanups")


async def largest_artefacts(connection: Connection) -> list[LargeArtefact]:
    """Return the largest artefacts that are not deleted."""
    rows = await connection.fetch(
        """
        SELECT a.track_id, t.title, a.version, a.id AS artefact_id, a.type, a.name, a.size_bytes
        FROM catalogue.artefacts AS a JOIN catalogue.tracks AS t ON t.id = a.track_id
        WHERE a.deleted_at IS NULL ORDER BY a.size_bytes DESC, a.id LIMIT $1
        """,
        MAX_LARGEST,
    )
    return [LargeArtefact.model_validate({**row}) for row in rows]
