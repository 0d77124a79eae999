"""Deletes and restores artefacts: at once by undo, for thirty days by hand."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from k1_catalogue import errors
from k1_catalogue.artefacts import deletion_store
from k1_catalogue.artefacts.tokens import new_token, token_hash
from k1_catalogue.database import SCHEMA
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.artefact_store import StoredArtefact, artefact_of_version
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_catalogue.tracks.version_checks import require_version
from k1_contracts.messages.catalogue.storage import (
    ArtefactDeleted,
    ArtefactRestored,
    DeleteArtefact,
    RestoreArtefact,
)
from k1_contracts.messages.catalogue.track_changes import (
    ARTEFACT_DELETED,
    ARTEFACT_RESTORED,
    ArtefactDeletion,
    ArtefactRestoration,
)
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool

UNDO_TIME: Final = timedelta(seconds=30)
_NEEDED_BY_DEVICES: Final = frozenset({"genesis_map", "bundle"})


@dataclass(frozen=True, slots=True)
class ArtefactDeletions:
    """Deletes and restores; each change locks the track and is audited."""

    pool: Pool
    clock: Callable[[], datetime]
    retention: timedelta
    """How long a deleted artefact can be restored."""

    async def delete(self, query: DeleteArtefact) -> ArtefactDeleted:
        """Mark an artefact as deleted. Its links stop working until it is restored.

        Raises:
            QueryError: `artefact_in_use` for what a deployed version needs.
        """
        at, token = self.clock(), new_token()
        async with self.pool.acquire() as connection, connection.transaction():
            found = await locked_artefact(connection, query)
            if found.artefact.deleted_at is not None:
                raise errors.artefact_not_found(query.artefact_id)
            if found.artefact.type in _NEEDED_BY_DEVICES and await deletion_store.is_deployed(
                connection, query.track_id, query.version
            ):
                raise errors.artefact_in_use(found.artefact.name, query.version)
            await deletion_store.mark_deleted(
                connection,
                query.track_id,
                query.version,
                query.artefact_id,
                at=at,
                undo_sha256=token_hash(token),
            )
            await _announce_deletion(connection, query, found, at, at + self.retention)
            await audit_artefact(connection, query, at, "artefact deleted", found.artefact.name)
        return ArtefactDeleted(
            undo_token=token, expires_at=at + UNDO_TIME, restorable_until=at + self.retention
        )

    async def restore(self, query: RestoreArtefact) -> ArtefactRestored:
        """Restore a deleted artefact; one that is present stays as it is, so that a repetition does no harm."""
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            found = await locked_artefact(connection, query)
            deleted_at = found.artefact.deleted_at
            if deleted_at is None:
                return ArtefactRestored(artefact=found.artefact)
            if query.undo_token is not None:
                await _require_undo(connection, query, query.undo_token, at - deleted_at)
            if at - deleted_at > self.retention:
                raise errors.artefact_expired(found.artefact.name)
            await deletion_store.mark_restored(connection, query.track_id, query.version, query.artefact_id)
            event = ArtefactRestoration(**_about(query, found), at=at)
            await enqueue(connection, SCHEMA, ARTEFACT_RESTORED, event, source="catalogue")
            await audit_artefact(connection, query, at, "artefact restored", found.artefact.name)
        restored = found.artefact.model_copy(update={"status": "present", "deleted_at": None})
        return ArtefactRestored(artefact=restored)


async def _announce_deletion(
    connection: Connection, query: DeleteArtefact, found: StoredArtefact, at: datetime, until: datetime
) -> None:
    event = ArtefactDeletion(**_about(query, found), at=at, restorable_until=until)
    await enqueue(connection, SCHEMA, ARTEFACT_DELETED, event, source="catalogue")


def _about(query: DeleteArtefact, found: StoredArtefact) -> dict[str, Any]:
    """Return the fields that say which artefact an event is about."""
    which = query.model_dump(include={"track_id", "version", "artefact_id"})
    return which | {"type": found.artefact.type, "name": found.artefact.name}


async def locked_artefact(connection: Connection, query: DeleteArtefact) -> StoredArtefact:
    """Return an artefact, also a deleted one, with its track locked until the end of the transaction."""
    await track_store.lock_track(connection, query.track_id)
    await require_version(connection, query.track_id, query.version)
    found = await artefact_of_version(connection, query.track_id, query.version, query.artefact_id)
    if found is None:
        raise errors.artefact_not_found(query.artefact_id)
    return found


async def audit_artefact(
    connection: Connection, query: DeleteArtefact, at: datetime, action: str, name: str
) -> None:
    """Record what somebody did with an artefact."""
    await track_store.set_updated_at(connection, query.track_id, at)
    detail = f"{name} of version {query.version}"
    await write_audit_entry(connection, query.track_id, at=at, action=action, detail=detail)


async def _require_undo(
    connection: Connection, query: RestoreArtefact, token: str, elapsed: timedelta
) -> None:
    expected = await deletion_store.undo_hash(connection, query.track_id, query.version, query.artefact_id)
    if elapsed > UNDO_TIME or not hmac.compare_digest(expected or "", token_hash(token)):
        raise errors.undo_expired()
