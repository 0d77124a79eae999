"""Defines the messages of tracks whose song is sent to the object store directly, with a presigned URL."""

from typing import Annotated, Final, Literal

from pydantic import Field

from k1_contracts.base import NOT_BLANK, Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.tracks import UploadAccepted
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Preset, Tag, Title
from k1_contracts.upload_form import MAX_ARTIST_LENGTH, MAX_TAGS

Artist = Annotated[str, Field(max_length=MAX_ARTIST_LENGTH)]


class CreateTrack(Contract):
    """A song that the client is about to send to the object store."""

    title: Annotated[Title, Field(pattern=NOT_BLANK)]
    artist: Artist | None = None
    """Without an artist, that of the file's own tags."""
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] = Field(default_factory=list[str])
    preset: Preset | None = None
    duration_hint: float | None = Field(default=None, gt=0, le=86_400)
    """The length in seconds, as the client knows it; a song that is too long is rejected before it is sent."""


class TrackUpload(Contract):
    """Where to send the song."""

    track_id: TrackId
    upload_url: str
    """For one PUT of the whole file, without credentials."""
    expires_at: UtcTime
    """Until then the song must be sent and `complete` be called; then the track is removed."""
    status: Literal["uploading"] = "uploading"


class CompleteTrack(Contract):
    track_id: TrackId


class TrackCreated(Contract):
    """A track whose song is on its way."""

    track_id: TrackId
    title: Title
    artist: str | None = None
    tags: list[Tag] = Field(default_factory=list[str])
    preset: Preset | None = None
    created_at: UtcTime
    expires_at: UtcTime


class TrackUploadAbandoned(Contract):
    """A track that will get no song."""

    track_id: TrackId
    reason: Literal["expired", "duplicate"]
    """`duplicate`: the same bytes are another track."""
    at: UtcTime


TRACK_CREATED: Final = Event(
    "track.created",
    TrackCreated,
    summary="A track was created and waits for its song",
    senders=("ingest",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.created_at,
)
TRACK_UPLOAD_ABANDONED: Final = Event(
    "track.upload_abandoned",
    TrackUploadAbandoned,
    summary="A created track gets no song and is removed",
    senders=("ingest",),
    receivers=("catalogue",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
)
TRACK_CREATE: Final = Query(
    "rpc.ingest.track.create",
    CreateTrack,
    TrackUpload,
    summary="Create a track and get the URL for its song",
    role="editor",
)
TRACK_COMPLETE: Final = Query(
    "rpc.ingest.track.complete",
    CompleteTrack,
    UploadAccepted,
    summary="Check the song that was sent, and analyse it",
    role="editor",
)
