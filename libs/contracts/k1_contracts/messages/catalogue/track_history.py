"""Defines the queries about what changed: the history of a track, and the difference of two versions."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from k1_contracts.actors import ActorKind
from k1_contracts.base import Contract, JsonObject, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.ids import JobId, TrackId
from k1_contracts.rpc import Cursor
from k1_contracts.tracks import Version


class EventActor(Contract):
    """Who caused an event."""

    kind: ActorKind
    id: str
    name: str
    address: str | None = None


class TrackEvent(Contract):
    """One change of a track, its versions or its jobs."""

    id: int
    at: UtcTime
    """When it happened."""
    recorded_at: UtcTime
    """When the catalogue wrote it down."""
    actor: EventActor
    action: str
    before: JsonObject | None = None
    """The changed fields as they were: `track`, `versions` by number, `jobs` by id."""
    after: JsonObject | None = None
    """The changed fields as they became."""
    job_id: JobId | None = None
    detail: str | None = None


class GetHistory(Contract):
    track_id: TrackId
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Cursor | None = None
    """`next_cursor` of the page before."""


class TrackHistory(Contract):
    """The events of a track, newest first."""

    total: int
    items: list[TrackEvent]
    next_cursor: Cursor | None = None


class CompareVersions(Contract):
    """Asks what changed from the version `with` to `version`; by default, from the one before that has a map."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    track_id: TrackId
    version: Version
    with_version: Version | None = Field(default=None, alias="with")


class MetricDelta(Contract):
    """A figure of both versions; `delta` is there if both are numbers."""

    name: str
    before: float | str | None = None
    after: float | str | None = None
    delta: float | None = None


class MovedBeat(Contract):
    before_ms: float
    after_ms: float
    delta_ms: float


class TimedBeatChanges(Contract):
    """Beats that are at most `tolerance_ms` apart count as the same beat."""

    tolerance_ms: float
    unchanged: int
    moved: list[MovedBeat]
    added: list[float]
    """Times in ms."""
    removed: list[float]
    """Times in ms."""


class VersionComparison(Contract):
    """What changed from the version `with_version` to `version`."""

    track_id: TrackId
    version: Version
    with_version: Version
    metrics: list[MetricDelta]
    """Only figures that differ."""
    beats: TimedBeatChanges
    downbeats: TimedBeatChanges


TRACK_HISTORY: Final = Query(
    "rpc.catalogue.track.history", GetHistory, TrackHistory, summary="Who changed a track, when and how"
)
VERSION_COMPARE: Final = Query(
    "rpc.catalogue.version.compare",
    CompareVersions,
    VersionComparison,
    summary="The difference of two versions",
)
