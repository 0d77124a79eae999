"""Carries out one action on many tracks, each in its own transaction, and reports each result."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from k1_catalogue import errors
from k1_catalogue.edits import store
from k1_catalogue.edits.fields import EditableFields, add_tags, remove_tags
from k1_catalogue.edits.track_edits import RequestAnalysis, TrackEdits
from k1_contracts.messages.analysis import RequestTrackAnalysis
from k1_contracts.messages.catalogue.track_edits import (
    BatchResult,
    BatchTracks,
    DeleteTrack,
    RestoreTrack,
    TrackResult,
)
from k1_platform.nats.actors import current_actor
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.postgres.pool import Pool


@dataclass(frozen=True, slots=True)
class TrackBatches:
    """Carries out batches. Every action has the same effect when it is repeated, so an interrupted batch is repeated."""

    pool: Pool
    edits: TrackEdits
    request_analysis: RequestAnalysis
    clock: Callable[[], datetime]

    async def run_batch(self, query: BatchTracks) -> BatchResult:
        """Return one result for each track, in the order of the request; the same key again gets the same result.

        Raises:
            QueryError: `invalid_edit` if the action lacks its tags, `idempotency_key_reused`.
        """
        if query.action in {"tag", "untag"} and not query.tags:
            raise errors.invalid_edit(f"tags: the action {query.action} needs at least one; name some.")
        key = _stored_key(query)
        if key is not None:
            earlier = await self._earlier_result(query, key)
            if earlier is not None:
                return earlier
        items = [await self._act(query, track_id) for track_id in dict.fromkeys(query.track_ids)]
        result = BatchResult(items=items, failed=sum(item.status == "failed" for item in items))
        if key is not None:
            async with self.pool.acquire() as connection:
                await store.save_batch_result(connection, key, result.model_dump_json(exclude_none=True))
        return result

    async def _earlier_result(self, query: BatchTracks, key: str) -> BatchResult | None:
        request = query.model_dump_json(exclude={"idempotency_key"})
        digest = sha256(request.encode()).hexdigest()
        async with self.pool.acquire() as connection, connection.transaction():
            holder, result = await store.claim_batch(connection, key, digest, self.clock())
        if holder != digest:
            raise errors.batch_key_reused(query.idempotency_key or "")
        return None if result is None else BatchResult.model_validate_json(result)

    async def _act(self, query: BatchTracks, track_id: str) -> TrackResult:
        try:
            return await self._result(query, track_id)
        except QueryError as error:
            return TrackResult(track_id=track_id, status="failed", code=error.code, message=str(error))

    async def _result(self, query: BatchTracks, track_id: str) -> TrackResult:
        match query.action:
            case "delete":
                deleted = await self.edits.delete(DeleteTrack(track_id=track_id))
                return TrackResult(
                    track_id=track_id,
                    status="done",
                    undo_token=deleted.undo_token,
                    expires_at=deleted.expires_at,
                )
            case "restore":
                restored = await self.edits.restore(RestoreTrack(track_id=track_id))
                return TrackResult(track_id=track_id, status="done" if restored.restored else "unchanged")
            case "analyse":
                return await self._analyse(query, track_id)
            case "tag" | "untag" | "set_preset":
                has_changed = await self.edits.change_fields(track_id, _change(query))
                return TrackResult(track_id=track_id, status="done" if has_changed else "unchanged")

    async def _analyse(self, query: BatchTracks, track_id: str) -> TrackResult:
        key = _stored_key(query)
        request = RequestTrackAnalysis(
            track_id=track_id, preset=query.preset, idempotency_key=None if key is None else f"batch {key}"
        )
        accepted = await self.request_analysis(request)
        return TrackResult(track_id=track_id, status="done", job_id=accepted.job_id, version=accepted.version)


def _change(query: BatchTracks) -> Callable[[EditableFields], EditableFields]:
    tags = query.tags or []
    match query.action:
        case "tag":
            return lambda fields: add_tags(fields, tags)
        case "untag":
            return lambda fields: remove_tags(fields, tags)
        case _:
            return lambda fields: fields.with_preset(query.preset)


def _stored_key(query: BatchTracks) -> str | None:
    """Return the idempotency key as it is stored: hashed with the actor, so that each person has their own keys."""
    if query.idempotency_key is None:
        return None
    actor = current_actor()
    return sha256(f"{actor.id if actor else ''}\0{query.idempotency_key}".encode()).hexdigest()
