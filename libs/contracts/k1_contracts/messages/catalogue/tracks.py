"""Defines the event and the queries about tracks, their versions and artefacts."""

from typing import Annotated, Final, Literal

from pydantic import Field

from k1_contracts.base import NO_NUL, Contract, JsonObject, TimeParameter, UtcTime
from k1_contracts.descriptors import DocumentQuery, Event, Query
from k1_contracts.genesis import GenesisView
from k1_contracts.ids import ArtefactId, JobId, TrackId
from k1_contracts.messages.catalogue.beats import CurrentBeatOverride
from k1_contracts.messages.deploy.deployments import TrackDeployment
from k1_contracts.rpc import Cursor, Limit, Offset
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import (
    DEFAULT_PRIORITY,
    AnalysisSummary,
    ArtefactStatus,
    AudioRef,
    Notice,
    Preset,
    Priority,
    Tag,
    Title,
    TrackStatus,
    Version,
    VersionStatus,
)


class TrackUploaded(Contract):
    """A song lies complete in the object store and was found to be decodable audio."""

    track_id: TrackId
    job_id: JobId
    version: Version = 1
    audio: AudioRef
    filename: str
    title: Title
    artist: str | None = None
    tags: list[Tag] = Field(default_factory=list[str])
    preset: Preset | None = None
    """None when the person chose none: then no tempo range is presumed."""
    priority: Priority = DEFAULT_PRIORITY
    uploaded_at: UtcTime


TrackSort = Literal["newest", "oldest", "f_measure", "duration", "bpm", "title"]
MapLayer = Literal["rhythm", "frequency", "dynamics", "spectral", "annotations"]
SliceEdge = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False)]
"""Milliseconds from the first sample; no song is a day long."""
FMeasure = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ListedBpm = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
MAX_LISTED_TAGS: Final = 8
ListedTag = Annotated[str, Field(min_length=1, max_length=60, pattern=NO_NUL)]


class ListTracks(Contract):
    status: TrackStatus | None = None
    """Without it every track but the deleted ones is listed."""
    preset: Preset | None = None
    search: Annotated[str, Field(max_length=200)] | None = None
    min_f_measure: FMeasure | None = None
    max_f_measure: FMeasure | None = None
    min_bpm: ListedBpm | None = None
    max_bpm: ListedBpm | None = None
    tag: Annotated[list[ListedTag], Field(min_length=1, max_length=MAX_LISTED_TAGS)] | None = None
    """Only tracks that have each of these tags; the parameter may be repeated."""
    sort: TrackSort = "newest"
    """Figures are sorted highest first, titles by letter."""
    limit: Limit = 50
    offset: Offset = 0
    cursor: Cursor | None = None
    """`next_cursor` of the page before; takes the place of `offset`."""


class TrackSummary(Contract):
    id: TrackId
    title: str
    artist: str | None = None
    duration_ms: float | None = None
    bpm: float | None = None
    f_measure: float | None = None
    status: TrackStatus
    preset: Preset | None = None
    tags: list[str]
    current_version: int | None = None
    created_at: UtcTime
    updated_at: UtcTime


class TrackPage(Contract):
    total: int
    items: list[TrackSummary]
    limit: int
    offset: int
    next_cursor: Cursor | None = None


class GetTrack(Contract):
    track_id: TrackId
    at: TimeParameter | None = None
    """Return the track as it was at this time, with its versions; artefacts and deployments are left out."""


class GetTracks(Contract):
    track_ids: list[TrackId] = Field(min_length=1, max_length=200)


class GetVersion(Contract):
    track_id: TrackId
    version: Version


class Artefact(Contract):
    id: ArtefactId | None = None
    """None while the artefact is missing."""
    type: str
    name: str
    status: ArtefactStatus
    size_bytes: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    created_at: UtcTime | None = None
    deleted_at: UtcTime | None = None
    url: str | None = None
    """A signed URL that works for an hour."""
    inline_json: JsonObject | None = None
    """The document itself, when it is JSON under 64 KiB."""


class ArtefactList(Contract):
    artefacts: list[Artefact]


class BeatEditCounts(Contract):
    """How the beats of a version differ from those of its analysis."""

    moved: int = Field(ge=0)
    added: int = Field(ge=0)
    removed: int = Field(ge=0)


class GraphEditCounts(Contract):
    """How the graph of a version differs from that of the version before."""

    nodes_added: int = Field(ge=0)
    nodes_removed: int = Field(ge=0)
    nodes_changed: int = Field(ge=0)
    """Nodes of both graphs with other parameters."""
    edges_added: int = Field(ge=0)
    """Of nodes of both graphs; an edge from another node counts as added and removed."""
    edges_removed: int = Field(ge=0)


class VersionEdit(Contract):
    """What a person changed to make a version."""

    previous_version: Version
    """The version that was edited."""
    beats: BeatEditCounts
    graph: GraphEditCounts | None = None
    """None where the impact report of the graph is not kept."""


class VersionSummary(Contract):
    version: Version
    status: VersionStatus
    created_at: UtcTime
    engine: str | None = None
    job_id: JobId | None = None
    """None for a version that a person made by setting beats or by saving a graph."""
    edit: VersionEdit | None = None
    """What that person changed; None for a version that an analysis made, and in the track as it was at a time."""
    summary: AnalysisSummary | None = None
    warnings: list[Notice] = Field(default_factory=list[Notice])
    artefacts: list[Artefact]


class Track(TrackSummary):
    notes: str | None = None
    """Markdown."""
    filename: str
    audio: AudioRef | None = None
    """None while the song is on its way."""
    deleted_at: UtcTime | None = None
    """When it was deleted; thirty days later it is removed for good."""


class TrackDetail(Contract):
    revision: int = 1
    """Counts the edits of the track; the first part of its entity tag."""
    track: Track
    versions: list[VersionSummary]
    beat_override: CurrentBeatOverride | None = None
    """Absent where the beats of the version in use are those of its analysis."""
    deployments: list[TrackDeployment] = Field(default_factory=list[TrackDeployment])
    """The newest twenty, newest first."""
    same_recording_as: list[TrackId] = Field(default_factory=list[TrackId])
    """Other tracks whose decoded audio is the same to the sample, whatever their tags and names: at most twenty,
    oldest first. Each is at `/api/v1/tracks/{track_id}`."""


class TrackDetails(Contract):
    """Those of the requested tracks that exist, in any order."""

    items: list[TrackDetail]


class VersionDetail(VersionSummary):
    track_id: TrackId
    metadata: JsonObject | None = None
    metrics: JsonObject | None = None
    """`global_metrics` of the map; None until the analysis has ended."""


class GetGenesis(Contract):
    track_id: TrackId
    version: Version
    layers: list[MapLayer] | None = None
    from_ms: SliceEdge | None = None
    to_ms: SliceEdge | None = None
    max_points: int | None = Field(default=None, ge=2, le=100_000)
    etag: str | None = None
    """The caller's copy; the same content again is answered with `not_modified`."""


class UploadAccepted(Contract):
    """Ingest's answer to an upload."""

    track_id: TrackId
    job_id: JobId
    status: Literal["queued", "existing", "restored"]
    """`restored`: the same bytes were a deleted track, which is back."""


TRACK_UPLOADED: Final = Event(
    "track.uploaded",
    TrackUploaded,
    summary="A song lies complete in the object store",
    senders=("ingest",),
    receivers=("analysis", "catalogue"),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.uploaded_at,
)
TRACK_LIST: Final = Query("rpc.catalogue.track.list", ListTracks, TrackPage, summary="A page of tracks")
TRACK_GET: Final = Query("rpc.catalogue.track.get", GetTrack, TrackDetail, summary="A track and its versions")
TRACK_DETAILS: Final = Query(
    "rpc.catalogue.track.details", GetTracks, TrackDetails, summary="Several tracks and their versions"
)
VERSION_GET: Final = Query("rpc.catalogue.version.get", GetVersion, VersionDetail, summary="One version")
ARTEFACT_LIST: Final = Query(
    "rpc.catalogue.artefact.list", GetVersion, ArtefactList, summary="A version's artefacts"
)
GENESIS_GET: Final = DocumentQuery(
    "rpc.catalogue.genesis.get",
    GetGenesis,
    GenesisView,
    summary="The Genesis map of a version, or a slice of it",
    senders=("gateway", "deploy", "telemetry"),
)
