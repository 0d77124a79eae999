"""Answers the queries about the past of a track: its events, and the track as it was."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from k1_catalogue import errors
from k1_catalogue.history import store
from k1_contracts.base import rfc3339
from k1_contracts.messages.catalogue.track_history import GetHistory, TrackHistory
from k1_contracts.messages.catalogue.tracks import Track, TrackDetail, VersionSummary
from k1_platform.cursors import cursor_after, invalid_cursor, row_before
from k1_platform.postgres.pool import Connection, Pool

_WALK: Final = "history"
_MAX_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class HistoryQueries:
    """Answers from the events."""

    pool: Pool

    async def get_history(self, query: GetHistory) -> TrackHistory:
        """Return a page of events, newest first; raise `track_not_found` or `invalid_cursor`.

        Of a purged track, the event of its purge remains.
        """
        before_id = _read_cursor(query.cursor)
        async with self.pool.acquire() as connection:
            total = await store.count_events(connection, query.track_id)
            events = await store.read_events(connection, query.track_id, query.limit + 1, before_id)
        if total == 0:
            raise errors.track_not_found(query.track_id)
        page = events[: query.limit]
        next_cursor = cursor_after(_WALK, str(page[-1].id)) if len(events) > query.limit else None
        return TrackHistory(total=total, items=page, next_cursor=next_cursor)


async def track_at(connection: Connection, track_id: str, at: datetime) -> TrackDetail:
    """Return a track with its versions as the catalogue had them at a time, without artefacts and deployments.

    Raises:
        QueryError: `track_not_found`, or `history_unavailable` if nothing is known about that time.
    """
    begin = await store.history_begin(connection, track_id)
    if begin is None:
        raise errors.track_not_found(track_id)
    rows = await store.rows_at(connection, track_id, at)
    if rows.track is None:
        raise errors.history_unavailable(track_id, rfc3339(begin))
    versions = [
        VersionSummary.model_validate(row | {"artefacts": []})
        for _, row in sorted(rows.versions.items(), key=lambda item: -int(item[0]))
    ]
    return TrackDetail(
        revision=rows.track["revision"], track=Track.model_validate(rows.track), versions=versions
    )


def _read_cursor(text: str | None) -> int | None:
    row = row_before(text, _WALK, by_time=False)
    if row is None:
        return None
    if not row.id.isdecimal() or len(row.id) > _MAX_DIGITS:
        raise invalid_cursor()
    return int(row.id)
