"""Edits, deletes and restores tracks."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from nats.js.kv import KeyValue

from k1_catalogue import errors
from k1_catalogue.database import SCHEMA
from k1_catalogue.edits import store
from k1_catalogue.edits.fields import EditableFields, EditError, apply_edit, changed_fields
from k1_catalogue.tracks import store as track_store
from k1_catalogue.tracks.audit_store import write_audit_entry
from k1_catalogue.tracks.queries import TrackQueries
from k1_catalogue.tracks.status import is_usable
from k1_catalogue.tracks.version_checks import require_song
from k1_contracts.base import rfc3339
from k1_contracts.messages.analysis import AnalysisAccepted, RequestTrackAnalysis
from k1_contracts.messages.catalogue.track_changes import (
    TRACK_DELETED,
    TRACK_EDITED,
    TRACK_RESTORED,
    EditedField,
    TrackDeletion,
    TrackEdited,
    TrackRestoration,
)
from k1_contracts.messages.catalogue.track_edits import (
    DeleteTrack,
    EditTrack,
    RestoreTrack,
    TrackDeleted,
    TrackRestored,
)
from k1_contracts.messages.catalogue.tracks import GetTrack, Track, TrackDetail
from k1_platform.nats.actors import current_actor, require_role
from k1_platform.postgres.outbox import enqueue
from k1_platform.postgres.pool import Connection, Pool

UNDO_TIME: Final = timedelta(seconds=30)
"""How long whoever has the token can undo a deletion."""
PURGE_AFTER: Final = timedelta(days=30)
"""How long a deleted track can be restored."""
RequestAnalysis = Callable[[RequestTrackAnalysis], Awaitable[AnalysisAccepted]]
Change = Callable[[EditableFields], EditableFields]


@dataclass(frozen=True, slots=True)
class TrackEdits:
    """Changes tracks; each change is one transaction with its event."""

    pool: Pool
    tracks: TrackQueries
    request_analysis: RequestAnalysis
    cancels: KeyValue
    """The bucket of jobs that the workers are to stop."""
    clock: Callable[[], datetime]

    async def edit(self, query: EditTrack) -> TrackDetail:
        """Change some fields of a track and return it.

        Raises:
            QueryError: `track_not_found`, `track_uploading`, `track_deleted`, `track_changed` if an entity tag was given
                and another edit came first, `version_not_found` or `version_unusable` for a current version without a
                map, `invalid_edit`.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            await require_song(connection, query.track_id)
            newest = await track_store.next_version(connection, query.track_id) - 1
            if query.current_version is not None:
                await _require_usable(connection, query.track_id, query.current_version)
            await self._save(
                connection, query.track_id, lambda fields: apply_edit(fields, query, newest), query.if_match
            )
        return await self.tracks.get_track(GetTrack(track_id=query.track_id))

    async def change_fields(self, track_id: str, change: Change) -> bool:
        """Apply a change to the fields of a track; return whether it changed anything. Raises as `edit` does."""
        async with self.pool.acquire() as connection, connection.transaction():
            await require_song(connection, track_id)
            return await self._save(connection, track_id, change, None)

    async def _save(
        self, connection: Connection, track_id: str, change: Change, if_match: Sequence[str] | None
    ) -> bool:
        before, revision = await store.read_fields(connection, track_id)
        if if_match is not None and not any(tag in ("*", _revision_tag(tag, revision)) for tag in if_match):
            raise errors.track_changed()
        try:
            after = change(before)
        except EditError as error:
            raise errors.invalid_edit(str(error)) from error
        if after == before:
            return False
        at = self.clock()
        await store.save_fields(connection, track_id, after, at)
        await track_store.refresh_track_state(connection, track_id, at)
        changed = changed_fields(before, after)
        await _announce_edit(connection, track_id, changed, at)
        await write_audit_entry(connection, track_id, at=at, action="edited", detail=", ".join(changed))
        return True

    async def delete(self, query: DeleteTrack) -> TrackDeleted:
        """Delete a track so that it can be restored, and cancel its jobs; return a token to undo it.

        Deleting it again only makes another token. Raises `track_not_found`,
        `track_purged`, or `track_uploading`: a track without a song goes by itself.
        """
        at, token = self.clock(), secrets.token_urlsafe(24)
        async with self.pool.acquire() as connection, connection.transaction():
            deleted_at = await self._mark_deleted(connection, query.track_id, at)
            await store.add_undo_token(connection, query.track_id, _hash(token), at, at + UNDO_TIME)
        return TrackDeleted(
            track_id=query.track_id,
            undo_token=token,
            expires_at=at + UNDO_TIME,
            purge_at=deleted_at + PURGE_AFTER,
        )

    async def _mark_deleted(self, connection: Connection, track_id: str, at: datetime) -> datetime:
        state = await _lock(connection, track_id)
        if state.is_uploading:
            raise errors.track_uploading(track_id)
        if state.deleted_at is not None:
            return state.deleted_at
        await store.save_deleted_at(connection, track_id, at)
        await track_store.refresh_track_state(connection, track_id, at)
        track, revision = await _state_after(connection, track_id)
        event = TrackDeletion(
            track_id=track_id, revision=revision, title=track.title, deleted_at=at, purge_at=at + PURGE_AFTER
        )
        await enqueue(connection, SCHEMA, TRACK_DELETED, event, source="catalogue")
        await write_audit_entry(connection, track_id, at=at, action="deleted")
        for job_id in await store.open_jobs(connection, track_id):
            await write_audit_entry(connection, track_id, at=at, action="cancel requested", job_id=job_id)
            await self.cancels.put(job_id, rfc3339(at).encode())
        return at

    async def restore(self, query: RestoreTrack) -> TrackRestored:
        """Restore a deleted track; start an analysis again that the deletion has cancelled.

        Raises:
            RoleError: there is no valid undo token, and the actor is no editor.
            QueryError: `track_not_found`, or `track_purged` if it is too late.
        """
        at = self.clock()
        async with self.pool.acquire() as connection, connection.transaction():
            is_restored = await self._mark_restored(connection, query, at)
            interrupted = is_restored and await store.was_interrupted(connection, query.track_id)
        if interrupted:
            await self.request_analysis(RequestTrackAnalysis(track_id=query.track_id))
        async with self.pool.acquire() as connection:
            track = await track_store.find_track(connection, query.track_id)
        if track is None:
            raise errors.track_not_found(query.track_id)
        return TrackRestored(track_id=query.track_id, status=track.status, restored=is_restored)

    async def _mark_restored(self, connection: Connection, query: RestoreTrack, at: datetime) -> bool:
        state = await _lock(connection, query.track_id)
        if state.deleted_at is None:
            return False
        token = query.undo_token
        if token is None or not await store.is_undo_token(connection, query.track_id, _hash(token), at):
            require_role(current_actor(), "editor")
        await store.save_deleted_at(connection, query.track_id, None)
        await store.remove_undo_tokens(connection, query.track_id)
        await track_store.refresh_track_state(connection, query.track_id, at)
        track, revision = await _state_after(connection, query.track_id)
        event = TrackRestoration(
            track_id=query.track_id,
            revision=revision,
            title=track.title,
            status=track.status,
            reason=query.reason,
            at=at,
        )
        await enqueue(connection, SCHEMA, TRACK_RESTORED, event, source="catalogue")
        detail = None if query.reason == "restored" else query.reason
        await write_audit_entry(connection, query.track_id, at=at, action="restored", detail=detail)
        return True


async def _announce_edit(
    connection: Connection, track_id: str, changed: list[EditedField], at: datetime
) -> None:
    track, revision = await _state_after(connection, track_id)
    event = TrackEdited(
        track_id=track_id,
        changed=changed,
        revision=revision,
        title=track.title,
        artist=track.artist,
        tags=track.tags,
        preset=track.preset,
        current_version=track.current_version,
        status=track.status,
        at=at,
    )
    await enqueue(connection, SCHEMA, TRACK_EDITED, event, source="catalogue")


async def _state_after(connection: Connection, track_id: str) -> tuple[Track, int]:
    """Return a track that the transaction has locked, and its revision."""
    track = await track_store.find_track(connection, track_id)
    assert track is not None, "the caller has locked the row"
    return track, await track_store.find_revision(connection, track_id)


async def _lock(connection: Connection, track_id: str) -> store.DeletionState:
    state = await store.lock_deletion(connection, track_id)
    if state is None:
        raise errors.track_not_found(track_id)
    if state.purge_started_at is not None:
        raise errors.track_purged(track_id)
    return state


async def _require_usable(connection: Connection, track_id: str, version: int) -> None:
    status = await store.version_status(connection, track_id, version)
    if status is None:
        raise errors.version_not_found(track_id, version)
    if not is_usable(status):
        raise errors.version_unusable(track_id, version)


def _revision_tag(tag: str, revision: int) -> str | None:
    """Return the tag if it is one of this revision: the revision stands before its first hyphen."""
    return tag if tag.partition("-")[0] == str(revision) else None


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
