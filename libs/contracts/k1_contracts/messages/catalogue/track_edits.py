"""Defines the queries that change tracks: edit, delete, restore, and one action on many tracks; and `track.purged`."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from k1_contracts.base import NO_NUL, NOT_BLANK, Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.ids import JobId, Sha256, TrackId
from k1_contracts.messages.catalogue.track_changes import RestoreReason
from k1_contracts.messages.catalogue.tracks import TrackDetail
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Preset, TrackStatus, Version
from k1_contracts.upload_form import MAX_ARTIST_LENGTH, MAX_TAGS

MAX_NOTES_LENGTH: Final = 20_000
MAX_BATCH: Final = 500
EditedTitle = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=NOT_BLANK)]
EditedArtist = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ARTIST_LENGTH, pattern=NOT_BLANK)
]
EditedTag = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=NOT_BLANK)]
EditedTags = Annotated[list[EditedTag], Field(max_length=MAX_TAGS)]
Notes = Annotated[str, StringConstraints(max_length=MAX_NOTES_LENGTH, pattern=NO_NUL)]
"""Markdown, stored as it is written."""
UndoToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{20,64}$")]
Clearable = Literal["artist", "preset", "notes", "current_version"]
BatchAction = Literal["delete", "restore", "analyse", "tag", "untag", "set_preset"]


class EditTrack(Contract):
    """The new values of some fields of a track; an absent field does not change."""

    track_id: TrackId
    title: EditedTitle | None = None
    artist: EditedArtist | None = None
    tags: EditedTags | None = None
    preset: Preset | None = None
    notes: Notes | None = None
    current_version: Version | None = None
    """A version with a map: the one that is shown and deployed until a newer one is ready."""
    clear: list[Clearable] = Field(default_factory=list[Clearable])
    """Fields that become empty; without `current_version` the newest version with a map is the current one."""
    if_match: list[str] | None = None
    """Entity tags of the copy that was edited; None edits in any case."""


class DeleteTrack(Contract):
    track_id: TrackId


class TrackDeleted(Contract):
    track_id: TrackId
    undo_token: UndoToken
    """Whoever has it can restore the track until `expires_at`; an editor can until the track is purged."""
    expires_at: UtcTime
    purge_at: UtcTime
    """From then on the track is removed for good."""


class RestoreTrack(Contract):
    track_id: TrackId
    undo_token: UndoToken | None = None
    reason: RestoreReason = "restored"


class TrackRestored(Contract):
    track_id: TrackId
    status: TrackStatus
    restored: bool
    """False if the track was not deleted."""


class BatchTracks(Contract):
    """One action on many tracks."""

    action: BatchAction
    track_ids: list[TrackId] = Field(min_length=1, max_length=MAX_BATCH)
    tags: EditedTags | None = None
    """Of `tag` and `untag`."""
    preset: Preset | None = None
    """Of `set_preset`, where none removes the preset, and of `analyse`."""
    idempotency_key: str | None = None


class TrackResult(Contract):
    """What the action did to one track."""

    track_id: TrackId
    status: Literal["done", "unchanged", "failed"]
    code: str | None = None
    """Why it failed, for programs."""
    message: str | None = None
    undo_token: UndoToken | None = None
    expires_at: UtcTime | None = None
    job_id: JobId | None = None
    version: Version | None = None


class BatchResult(Contract):
    """One result for each track, in the order of the request."""

    items: list[TrackResult]
    failed: int


class TrackPurged(Contract):
    """A deleted track is being removed for good; it cannot be restored any more."""

    track_id: TrackId
    audio_sha256: Sha256
    purged_at: UtcTime


TRACK_EDIT: Final = Query(
    "rpc.catalogue.track.edit", EditTrack, TrackDetail, summary="Edit a track", role="editor"
)
TRACK_DELETE: Final = Query(
    "rpc.catalogue.track.delete", DeleteTrack, TrackDeleted, summary="Delete a track", role="editor"
)
TRACK_RESTORE: Final = Query(
    "rpc.catalogue.track.restore",
    RestoreTrack,
    TrackRestored,
    summary="Restore a deleted track; without a valid undo token that needs the role editor",
)
TRACK_BATCH: Final = Query(
    "rpc.catalogue.track.batch", BatchTracks, BatchResult, summary="One action on many tracks", role="editor"
)
TRACK_PURGED: Final = Event(
    "track.purged",
    TrackPurged,
    summary="A deleted track is being removed for good",
    senders=("catalogue",),
    receivers=("ingest",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.purged_at,
)
