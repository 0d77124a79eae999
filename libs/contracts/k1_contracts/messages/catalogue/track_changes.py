"""Defines the events of what people change: fields of tracks, deletions and restorations, artefacts.

Each is published from the transaction of the change, so that whoever shows the track can show the change at once.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Event
from k1_contracts.ids import ArtefactId, TrackId
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Preset, Tag, Title, TrackStatus, Version

EditedField = Literal["title", "artist", "tags", "preset", "notes", "current_version"]
Revision = Annotated[int, Field(ge=1)]
"""How often the track was edited, plus one; the entity tag of the track begins with it."""
RestoreReason = Literal["restored", "uploaded again"]


class TrackEdited(Contract):
    """A person changed fields of a track. The values are those after the change; notes may be long: read the track."""

    track_id: TrackId
    changed: Annotated[list[EditedField], Field(min_length=1)]
    revision: Revision
    title: Title
    artist: str | None = None
    tags: list[Tag]
    preset: Preset | None = None
    current_version: Version | None = None
    status: TrackStatus
    at: UtcTime


class TrackDeletion(Contract):
    """A track was deleted; it can be restored until `purge_at`."""

    track_id: TrackId
    revision: Revision
    title: Title
    deleted_at: UtcTime
    purge_at: UtcTime


class TrackRestoration(Contract):
    """A deleted track is there again."""

    track_id: TrackId
    revision: Revision
    title: Title
    status: TrackStatus
    reason: RestoreReason
    at: UtcTime


class ArtefactChange(Contract):
    """An artefact of a version was deleted, or restored."""

    track_id: TrackId
    version: Version
    artefact_id: ArtefactId
    type: str
    name: str
    at: UtcTime


class ArtefactDeletion(ArtefactChange):
    """An artefact was deleted; it can be restored until `restorable_until`."""

    restorable_until: UtcTime


class ArtefactRestoration(ArtefactChange):
    """A deleted artefact is there again."""


def _change_key(event: ArtefactChange) -> str:
    return f"{event.track_id}/{event.version}/{event.artefact_id}/{event.at.isoformat()}"


TRACK_EDITED: Final = Event(
    "track.edited",
    TrackEdited,
    summary="Fields of a track were changed",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
    key=lambda event: f"{event.track_id}/{event.revision}",
)
TRACK_DELETED: Final = Event(
    "track.deleted",
    TrackDeletion,
    summary="A track was deleted; it can be restored",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.deleted_at,
    key=lambda event: f"{event.track_id}/{event.revision}",
)
TRACK_RESTORED: Final = Event(
    "track.restored",
    TrackRestoration,
    summary="A deleted track was restored",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
    key=lambda event: f"{event.track_id}/{event.revision}",
)
ARTEFACT_DELETED: Final = Event(
    "artefact.deleted",
    ArtefactDeletion,
    summary="An artefact was deleted; it can be restored",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.artefact_id,
    time=lambda event: event.at,
    key=_change_key,
)
ARTEFACT_RESTORED: Final = Event(
    "artefact.restored",
    ArtefactRestoration,
    summary="A deleted artefact was restored",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.artefact_id,
    time=lambda event: event.at,
    key=_change_key,
)
