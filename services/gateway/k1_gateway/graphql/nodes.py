"""The objects of the graph: tracks, versions, jobs, deployments and devices, with the fields that lead on from each.

The plain fields come from the models of the contracts.
"""

from typing import Annotated, Any, Final

import strawberry
from strawberry.scalars import JSON
from strawberry.types import Info

from k1_contracts.messages.analysis import JobView
from k1_contracts.messages.deployment_queries import (
    DEPLOYMENT_LIST,
    DeploymentPage,
    DeploymentSummary,
    DeploymentView,
    ListDeployments,
)
from k1_contracts.messages.devices import DevicePage, DeviceView
from k1_contracts.messages.similar import TRACK_SIMILAR, FindSimilar, SimilarTracks
from k1_contracts.messages.track_history import TRACK_HISTORY, GetHistory, TrackHistory
from k1_contracts.messages.tracks import Artefact, TrackPage, TrackSummary, VersionSummary
from k1_contracts.tracks import AudioRef
from k1_gateway.graphql.loaders import Readers
from k1_gateway.graphql.types import graphql_type

Context = Info[Readers, None]
Limit = Annotated[int, strawberry.argument(description="How many at most.")]
ArtefactNode: Final = graphql_type(Artefact)
AudioNode: Final = graphql_type(AudioRef)
HistoryNode: Final = graphql_type(TrackHistory)


class _JobFields:
    """Where a job leads."""

    @strawberry.field(description="The track that is analysed.")
    async def track(self, info: Context) -> "TrackNode":
        job: Any = self
        return (await info.context.tracks.load(job.track_id)).track


class _VersionFields:
    """Where a version leads."""

    @strawberry.field(description="The figures of the map; none until the analysis has ended.")
    async def metrics(self, info: Context) -> JSON | None:
        return (await info.context.versions.load(_key(info, self))).metrics

    @strawberry.field(description="How the map was made; none until the analysis has ended.")
    async def metadata(self, info: Context) -> JSON | None:
        return (await info.context.versions.load(_key(info, self))).metadata

    @strawberry.field(description="The files of the version, with signed URLs that work for an hour.")
    async def artefacts(self, info: Context) -> list[ArtefactNode]:  # type: ignore[valid-type]
        return (await info.context.versions.load(_key(info, self))).artefacts

    @strawberry.field(description="The job that made the version.")
    async def job(self, info: Context) -> "JobNode":
        version: Any = self
        return await info.context.jobs.load(version.job_id)
