"""The objects of the graph: tracks, versions, jobs, deployments and devices, with the fields that lead on from each.

The plain fields come from the models of the contracts. To the type checker a node is the model's object.
"""

from typing import Annotated, Any, Final

import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from k1_contracts.base import JsonObject
from k1_contracts.ids import TrackId
from k1_contracts.messages.alarms import Alarm, AlarmPage
from k1_contracts.messages.analysis import JobPage, JobView
from k1_contracts.messages.catalogue.similar import TRACK_SIMILAR, FindSimilar, SimilarTracks
from k1_contracts.messages.catalogue.track_history import TRACK_HISTORY, GetHistory, TrackHistory
from k1_contracts.messages.catalogue.tracks import (
    Artefact,
    TrackDetail,
    TrackPage,
    TrackSummary,
    VersionDetail,
    VersionSummary,
)
from k1_contracts.messages.deploy.deployment_queries import DeploymentPage, DeploymentSummary, DeploymentView
from k1_contracts.messages.deploy.deployments import TrackDeployment
from k1_contracts.messages.deploy.devices import DevicePage, DeviceView
from k1_contracts.messages.drift import TRACK_DRIFT, GetDrift, TrackDrift
from k1_contracts.messages.fleet import FleetView
from k1_contracts.messages.telemetry_history import (
    DEVICE_TELEMETRY,
    TRACK_TELEMETRY,
    GetDeviceTelemetry,
    GetTrackTelemetry,
    TelemetrySeries,
)
from k1_contracts.tracks import AudioRef
from k1_gateway.graphql.arguments import checked
from k1_gateway.graphql.loaders import Readers
from k1_gateway.graphql.types import graphql_type

Context = Info[Readers, None]
ArtefactNode: Final[Any] = graphql_type(Artefact)
AlarmNode: Final[Any] = graphql_type(Alarm)
AlarmPageNode: Final[Any] = graphql_type(AlarmPage)
FleetNode: Final[Any] = graphql_type(FleetView, name="Fleet")
AudioNode: Final[Any] = graphql_type(AudioRef)
HistoryNode: Final[Any] = graphql_type(TrackHistory)
TrackDeploymentNode: Final[Any] = graphql_type(TrackDeployment)


class VersionOfTrack(VersionSummary):
    """One analysis of a track."""

    track_id: TrackId


_TELEMETRY_TIMEOUT_S: Final = 20.0
_NODES: Final = "k1_gateway.graphql.nodes"
_TrackNode: Final[Any] = Annotated["TrackNode", strawberry.lazy(_NODES)]
_SimilarNode: Final[Any] = Annotated["SimilarNode", strawberry.lazy(_NODES)]


def _source(node: object) -> Any:
    """Return the object of a contract whose GraphQL type has the method that is running."""
    return node


class _JobFields:
    """The field that leads on from a job."""

    @strawberry.field(graphql_type=_TrackNode, description="The track that is analysed.")
    async def track(self, info: Context) -> TrackSummary:
        return (await info.context.tracks.load(_source(self).track_id)).track


JobNode: Final[Any] = graphql_type(JobView, extend=_JobFields)
JobPageNode: Final[Any] = graphql_type(JobPage)


class _VersionFields:
    """The fields that lead on from a version."""

    @strawberry.field(
        graphql_type=JSON | None, description="The figures of the map; none until the analysis has ended."
    )
    async def metrics(self, info: Context) -> JsonObject | None:
        return (await _version(self, info)).metrics

    @strawberry.field(
        graphql_type=JSON | None, description="How the map was made; none until the analysis has ended."
    )
    async def metadata(self, info: Context) -> JsonObject | None:
        return (await _version(self, info)).metadata

    @strawberry.field(
        graphql_type=list[ArtefactNode],
        description="The files of the version, with signed URLs that work for an hour.",
    )
    async def artefacts(self, info: Context) -> list[Artefact]:
        return (await _version(self, info)).artefacts

    @strawberry.field(
        graphql_type=JobNode | None,
        description="The job that made the version; none where a person set the beats, or the job ended long ago.",
    )
    async def job(self, info: Context) -> JobView | None:
        job_id = _source(self).job_id
        found = [] if job_id is None else await info.context.kept_jobs([job_id])
        return found[0] if found else None


VersionNode: Final[Any] = graphql_type(VersionOfTrack, extend=_VersionFields)


class _DeploymentFields:
    """The field that leads on from a deployment."""

    @strawberry.field(graphql_type=_TrackNode, description="The track that is deployed.")
    async def track(self, info: Context) -> TrackSummary:
        return (await info.context.tracks.load(_source(self).track_id)).track


DeploymentNode: Final[Any] = graphql_type(DeploymentView, extend=_DeploymentFields)
DeploymentSummaryNode: Final[Any] = graphql_type(DeploymentSummary, extend=_DeploymentFields)
DeploymentPageNode: Final[Any] = graphql_type(DeploymentPage)
TelemetryNode: Final[Any] = graphql_type(TelemetrySeries)
DriftNode: Final[Any] = graphql_type(TrackDrift)


class _DeviceFields:
    """The field that leads on from a device."""

    @strawberry.field(
        graphql_type=TelemetryNode | None,
        description="The stored telemetry of the last seconds, at most 31 days.",
    )
    async def telemetry(
        self, info: Context, *, last: int | None = None, step: float | None = None, max_points: int = 200
    ) -> TelemetrySeries | None:
        query = checked(
            GetDeviceTelemetry, device_id=_source(self).id, last=last, step=step, max_points=max_points
        )
        return await info.context.send(DEVICE_TELEMETRY, query, _TELEMETRY_TIMEOUT_S)


DeviceNode: Final[Any] = graphql_type(DeviceView, extend=_DeviceFields)
DevicePageNode: Final[Any] = graphql_type(DevicePage)


class _TrackFields:
    """The fields that lead on from a track."""

    @strawberry.field(description="Notes in Markdown.")
    async def notes(self, info: Context) -> str | None:
        return (await _detail(self, info)).track.notes

    @strawberry.field(description="The name of the uploaded file.")
    async def filename(self, info: Context) -> str:
        return (await _detail(self, info)).track.filename

    @strawberry.field(
        graphql_type=AudioNode | None, description="The uploaded file; none while the song is on its way."
    )
    async def audio(self, info: Context) -> AudioRef | None:
        return (await _detail(self, info)).track.audio

    @strawberry.field(description="Counts the edits; give it as `if_match` to edit what you have read.")
    async def revision(self, info: Context) -> int:
        return (await _detail(self, info)).revision

    @strawberry.field(graphql_type=list[VersionNode], description="All versions, newest first.")
    async def versions(self, info: Context) -> list[VersionOfTrack]:
        return versions_of(await _detail(self, info))

    @strawberry.field(
        graphql_type=VersionNode | None, description="The version in use; none while there is no map."
    )
    async def current(self, info: Context) -> VersionOfTrack | None:
        number = _source(self).current_version
        found = versions_of(await _detail(self, info))
        return next((version for version in found if version.version == number), None)

    @strawberry.field(
        graphql_type=list[JobNode], description="The jobs of the versions that are kept, newest first."
    )
    async def jobs(self, info: Context) -> list[JobView]:
        ids = [
            version.job_id for version in (await _detail(self, info)).versions if version.job_id is not None
        ]
        return await info.context.kept_jobs(ids)

    @strawberry.field(
        graphql_type=list[TrackDeploymentNode], description="The newest twenty deployments, newest first."
    )
    async def deployments(self, info: Context) -> list[TrackDeployment]:
        return (await _detail(self, info)).deployments

    @strawberry.field(graphql_type=list[_TrackNode], description="Other tracks with the same decoded audio.")
    async def same_recording_as(self, info: Context) -> list[TrackSummary]:
        ids = (await _detail(self, info)).same_recording_as
        return [detail.track for detail in await info.context.tracks.load_many(ids)]

    @strawberry.field(
        graphql_type=HistoryNode, description="Who changed the track, when and how, newest first."
    )
    async def history(self, info: Context, limit: int = 20, cursor: str | None = None) -> TrackHistory:
        query = checked(GetHistory, track_id=_source(self).id, limit=limit, cursor=cursor)
        return await info.context.send(TRACK_HISTORY, query)

    @strawberry.field(
        graphql_type=_SimilarNode, description="The tracks that sound most like this one, nearest first."
    )
    async def similar(self, info: Context, limit: int = 10) -> SimilarTracks:
        query = checked(FindSimilar, track_id=_source(self).id, limit=limit)
        return await info.context.send(TRACK_SIMILAR, query)

    @strawberry.field(
        graphql_type=TelemetryNode | None,
        description="The stored telemetry of all devices while they played the track, of the last seconds.",
    )
    async def telemetry(
        self, info: Context, *, last: int | None = None, step: float | None = None, max_points: int = 200
    ) -> TelemetrySeries | None:
        query = checked(
            GetTrackTelemetry, track_id=_source(self).id, last=last, step=step, max_points=max_points
        )
        return await info.context.send(TRACK_TELEMETRY, query, _TELEMETRY_TIMEOUT_S)

    @strawberry.field(
        graphql_type=DriftNode | None,
        description="Where devices lose the beat of a version, by default of the one in use; none without a map.",
    )
    async def drift(
        self, info: Context, *, version: int | None = None, last: int | None = None
    ) -> TrackDrift | None:
        number = version or _source(self).current_version
        if number is None:
            return None
        query = checked(GetDrift, track_id=_source(self).id, version=number, last=last)
        return await info.context.send(TRACK_DRIFT, query, _TELEMETRY_TIMEOUT_S)


TrackNode: Final[Any] = graphql_type(TrackSummary, extend=_TrackFields, name="Track")
TrackPageNode: Final[Any] = graphql_type(TrackPage)
SimilarNode: Final[Any] = graphql_type(SimilarTracks)


async def _detail(node: object, info: Context) -> TrackDetail:
    return await info.context.tracks.load(_source(node).id)


async def _version(node: object, info: Context) -> VersionDetail:
    version: VersionOfTrack = _source(node)
    return await info.context.versions.load((version.track_id, version.version))


def versions_of(detail: TrackDetail) -> list["VersionOfTrack"]:
    """Return the versions of a track, each with the id of the track."""
    return [
        VersionOfTrack.model_construct(**dict(version), track_id=detail.track.id)
        for version in detail.versions
    ]
