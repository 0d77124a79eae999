"""The changes of a track as events, and a track as the fold of its events. Pure.

The `before` and `after` of an event hold the changed columns of rows: `{"track": {...}, "versions": {"1": {...}},
"jobs": {"job_...": {...}}, "beat_edits": {"2": {...}}}`, the last by version. A row that is null does not exist: it is null before it is inserted and after it is
deleted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Row = dict[str, Any]
Image = dict[str, Any]
"""The rows of one side of an event."""
Entity = Literal["track", "versions", "jobs", "beat_edits"]
_HIDDEN: Final = frozenset({"idempotency_key", "accepted", "request_sha256"})
"""Columns of jobs and of edits of beats that histories do not show."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """The changed columns of one row; None on the side where the row does not exist."""

    entity: Entity
    key: str
    before: Row | None
    after: Row | None


@dataclass(frozen=True, slots=True)
class TrackRows:
    """The rows of a track, without derived columns."""

    track: Row | None = None
    versions: dict[str, Row] = field(default_factory=dict[str, Row])
    jobs: dict[str, Row] = field(default_factory=dict[str, Row])
    beat_edits: dict[str, Row] = field(default_factory=dict[str, Row])


def merge_changes(changes: Iterable[RowChange]) -> tuple[Image, Image]:
    """Return the images before and after several changes, in their order; columns that end as they began are left out."""
    before: dict[tuple[Entity, str], Row | None] = {}
    after: dict[tuple[Entity, str], Row | None] = {}
    for change in changes:
        place = (change.entity, change.key)
        if place not in before:
            before[place], after[place] = change.before, change.after
            continue
        first, last = before[place], after[place]
        if first is not None and last is not None and change.before is not None:
            before[place] = change.before | first
        after[place] = None if change.after is None else (last or {}) | change.after
    for place, first in before.items():
        last = after[place]
        if first is not None and last is not None:
            same = {name for name, value in first.items() if name in last and last[name] == value}
            before[place] = {name: value for name, value in first.items() if name not in same}
            after[place] = {name: value for name, value in last.items() if name not in same}
    places = [place for place in before if before[place] != after[place]]
    return _image(before, places), _image(after, places)


def _image(rows: Mapping[tuple[Entity, str], Row | None], places: Iterable[tuple[Entity, str]]) -> Image:
    image: Image = {}
    for entity, key in places:
        if entity == "track":
            image["track"] = rows[entity, key]
        else:
            image.setdefault(entity, {})[key] = rows[entity, key]
    return image


def apply_change(rows: TrackRows, after: Image | None) -> TrackRows:
    """Return the rows after an event whose image is `after`; None changes nothing."""
    if not after:
        return rows
    track = rows.track
    if "track" in after:
        track = None if after["track"] is None else (track or {}) | after["track"]
    return TrackRows(
        track,
        _with_rows(rows.versions, after.get("versions", {})),
        _with_rows(rows.jobs, after.get("jobs", {})),
        _with_rows(rows.beat_edits, after.get("beat_edits", {})),
    )


def replay(afters: Iterable[Image | None]) -> TrackRows:
    """Return the rows of a track after all its events, in their order."""
    rows = TrackRows()
    for after in afters:
        rows = apply_change(rows, after)
    return rows


def _with_rows(rows: dict[str, Row], changed: Mapping[str, Row | None]) -> dict[str, Row]:
    merged = rows | {key: rows.get(key, {}) | row for key, row in changed.items() if row is not None}
    return {key: row for key, row in merged.items() if changed.get(key, row) is not None}


def to_public(image: Image | None) -> Image | None:
    """Return an image as histories show it."""
    if image is None:
        return None
    hidden = {entity: _without_hidden(image[entity]) for entity in ("jobs", "beat_edits") if entity in image}
    return image | hidden


def _without_hidden(rows: Mapping[str, Row | None]) -> dict[str, Row | None]:
    return {
        key: None if row is None else {name: value for name, value in row.items() if name not in _HIDDEN}
        for key, row in rows.items()
    }
