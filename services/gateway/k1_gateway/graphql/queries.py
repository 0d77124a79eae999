"""The root of the queries: what a document can begin to read with."""

import strawberry

from k1_contracts.messages.alarms import ALARM_LIST, AlarmPage, ListAlarms
from k1_contracts.messages.analysis import JOB_LIST, GetJob, JobPage, JobView, ListJobs
from k1_contracts.messages.catalogue.tracks import TRACK_LIST, GetTrack, ListTracks, TrackPage, TrackSummary
from k1_contracts.messages.deploy.deployment_queries import (
    DEPLOYMENT_GET,
    DEPLOYMENT_LIST,
    DeploymentPage,
    DeploymentView,
    GetDeployment,
    ListDeployments,
)
from k1_contracts.messages.deploy.devices import (
    DEVICE_GET,
    DEVICE_LIST,
    DevicePage,
    DeviceView,
    GetDevice,
    ListDevices,
)
from k1_contracts.messages.fleet import FLEET_GET, FleetView, GetFleet
from k1_gateway.graphql.arguments import checked, given
from k1_gateway.graphql.nodes import (
    AlarmPageNode,
    Context,
    DeploymentNode,
    DeploymentPageNode,
    DeviceNode,
    DevicePageNode,
    FleetNode,
    JobNode,
    JobPageNode,
    TrackNode,
    TrackPageNode,
)


@strawberry.type
class Query:
    """Everything that can be read. Names and values are those of the HTTP API.

    Each field may be null, so that the rest of a document is answered where one of them fails.
    """

    @strawberry.field(graphql_type=TrackNode | None, description="One track.")
    async def track(self, info: Context, id: strawberry.ID) -> TrackSummary:
        track_id = checked(GetTrack, track_id=str(id)).track_id
        return (await info.context.tracks.load(track_id)).track

    @strawberry.field(graphql_type=TrackPageNode | None, description="A page of tracks.")
    async def tracks(
        self,
        info: Context,
        *,
        status: str | None = None,
        preset: str | None = None,
        search: str | None = None,
        tag: list[str] | None = None,
        min_f_measure: float | None = None,
        max_f_measure: float | None = None,
        min_bpm: float | None = None,
        max_bpm: float | None = None,
        sort: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> TrackPage:
        filters = given(
            status=status,
            preset=preset,
            search=search,
            tag=tag,
            min_f_measure=min_f_measure,
            max_f_measure=max_f_measure,
            min_bpm=min_bpm,
            max_bpm=max_bpm,
            sort=sort,
            cursor=cursor,
        )
        return await info.context.send(TRACK_LIST, checked(ListTracks, limit=limit, **filters))

    @strawberry.field(graphql_type=JobNode | None, description="One analysis job.")
    async def job(self, info: Context, id: strawberry.ID) -> JobView:
        return await info.context.jobs.load(checked(GetJob, job_id=str(id)).job_id)

    @strawberry.field(graphql_type=JobPageNode | None, description="The newest analysis jobs.")
    async def jobs(self, info: Context, status: str | None = None, limit: int = 50) -> JobPage:
        return await info.context.send(JOB_LIST, checked(ListJobs, limit=limit, **given(status=status)))

    @strawberry.field(graphql_type=DeploymentNode | None, description="One deployment.")
    async def deployment(self, info: Context, id: strawberry.ID) -> DeploymentView:
        return await info.context.send(DEPLOYMENT_GET, checked(GetDeployment, deployment_id=str(id)))

    @strawberry.field(graphql_type=DeploymentPageNode | None, description="The deployments, newest first.")
    async def deployments(
        self,
        info: Context,
        *,
        track_id: str | None = None,
        device_id: str | None = None,
        status: str | None = None,
        limit: int = 50,
    ) -> DeploymentPage:
        filters = given(track_id=track_id, device_id=device_id, status=status)
        return await info.context.send(DEPLOYMENT_LIST, checked(ListDeployments, limit=limit, **filters))

    @strawberry.field(graphql_type=DeviceNode | None, description="One device.")
    async def device(self, info: Context, id: strawberry.ID) -> DeviceView:
        return await info.context.send(DEVICE_GET, checked(GetDevice, device_id=str(id)))

    @strawberry.field(graphql_type=DevicePageNode | None, description="The devices.")
    async def devices(self, info: Context, group: str | None = None, limit: int = 100) -> DevicePage:
        return await info.context.send(DEVICE_LIST, checked(ListDevices, limit=limit, **given(group=group)))

    @strawberry.field(graphql_type=AlarmPageNode | None, description="The alarms, newest first.")
    async def alarms(
        self,
        info: Context,
        *,
        state: str | None = None,
        device_id: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> AlarmPage:
        filters = given(state=state, device_id=device_id, cursor=cursor)
        return await info.context.send(ALARM_LIST, checked(ListAlarms, limit=limit, **filters))

    @strawberry.field(graphql_type=FleetNode | None, description="The figures of the whole fleet.")
    async def fleet(self, info: Context) -> FleetView:
        return await info.context.send(FLEET_GET, GetFleet())
