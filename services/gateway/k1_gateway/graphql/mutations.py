"""The root of the mutations: edit, analyse again, deploy. Each checks the role of its query, as over HTTP."""

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON

from k1_contracts.messages.alarms import ALARM_ACKNOWLEDGE, AcknowledgeAlarm, Alarm
from k1_contracts.messages.analysis import (
    ANALYSIS_REQUEST,
    JOB_CANCEL,
    JOB_RETRY,
    AnalysisAccepted,
    GetJob,
    JobView,
    RequestTrackAnalysis,
    RetryJob,
)
from k1_contracts.messages.catalogue.beats import BEAT_OVERRIDE_SAVE, BeatOverrideSaved, SaveBeatOverride
from k1_contracts.messages.catalogue.job_moves import JOB_SET_PRIORITY, SetJobPriority
from k1_contracts.messages.catalogue.track_edits import TRACK_EDIT, EditTrack
from k1_contracts.messages.catalogue.tracks import TrackSummary
from k1_contracts.messages.deploy.deployment_queries import DeploymentAccepted
from k1_gateway.deployments.request import DeploymentBody, start_deployment
from k1_gateway.errors import ProblemError
from k1_gateway.graphql.arguments import checked, given
from k1_gateway.graphql.errors import CODE, graphql_error, graphql_problem
from k1_gateway.graphql.nodes import AlarmNode, Context, JobNode, TrackNode
from k1_gateway.graphql.types import graphql_type
from k1_platform.nats.queries.rpc import QueryError

_PLAN_TIMEOUT_S = 20.0
_SAVE_TIMEOUT_S = 35.0
AnalysisAcceptedNode = graphql_type(AnalysisAccepted)
BeatOverrideSavedNode = graphql_type(BeatOverrideSaved)
DeploymentAcceptedNode = graphql_type(DeploymentAccepted)


@strawberry.input(
    description="The fields of a track to change: null removes a value, an absent field does not change."
)
class TrackInput:
    """The changes of a track."""

    title: str | None = strawberry.UNSET
    artist: str | None = strawberry.UNSET
    tags: list[str] | None = strawberry.UNSET
    preset: str | None = strawberry.UNSET
    notes: str | None = strawberry.UNSET
    current_version: int | None = strawberry.UNSET


@strawberry.type
class Mutation:
    """Everything that can be changed."""

    @strawberry.mutation(
        graphql_type=TrackNode,
        description="Edit a track. `if_match` is the revision that was read: a later edit wins.",
    )
    async def edit_track(
        self,
        info: Context,
        id: strawberry.ID,
        changes: TrackInput,
        if_match: int | None = None,
    ) -> TrackSummary:
        values = {name: value for name, value in vars(changes).items() if value is not strawberry.UNSET}
        edit = checked(
            EditTrack,
            track_id=str(id),
            clear=[name for name, value in values.items() if value is None],
            if_match=None if if_match is None else [str(if_match)],
            **given(**values),
        )
        edited = await info.context.send(TRACK_EDIT, edit)
        info.context.forget()
        return edited.track

    @strawberry.mutation(graphql_type=AnalysisAcceptedNode, description="Analyse a track again.")
    async def analyse_track(
        self,
        info: Context,
        id: strawberry.ID,
        preset: str | None = None,
        priority: int | None = None,
    ) -> AnalysisAccepted:
        wanted = checked(RequestTrackAnalysis, track_id=str(id), **given(preset=preset, priority=priority))
        return await info.context.send_analysis(ANALYSIS_REQUEST, wanted)

    @strawberry.mutation(
        graphql_type=AnalysisAcceptedNode,
        description="Analyse again with the order of a job that failed or was cancelled; `key` lets it start only once.",
    )
    async def retry_job(self, info: Context, id: strawberry.ID, key: str | None = None) -> AnalysisAccepted:
        return await info.context.send_analysis(
            JOB_RETRY, checked(RetryJob, job_id=str(id), idempotency_key=key)
        )

    @strawberry.mutation(graphql_type=JobNode, description="Cancel a job, waiting or running.")
    async def cancel_job(self, info: Context, id: strawberry.ID) -> JobView:
        return await info.context.send(JOB_CANCEL, checked(GetJob, job_id=str(id)))

    @strawberry.mutation(graphql_type=JobNode, description="Move a waiting job in the queue.")
    async def set_job_priority(self, info: Context, id: strawberry.ID, priority: int) -> JobView:
        wanted = checked(SetJobPriority, job_id=str(id), priority=priority)
        return await info.context.send(JOB_SET_PRIORITY, wanted)

    @strawberry.mutation(
        graphql_type=BeatOverrideSavedNode,
        description="Set the beats of a version: a new version of map, show and bundle. `if_match` is the etag of the beats "
        "that were edited.",
    )
    async def save_beats(
        self,
        info: Context,
        *,
        id: strawberry.ID,
        version: int,
        beats_ms: list[float],
        downbeats: list[int] | None = None,
        note: str | None = None,
        if_match: str | None = None,
    ) -> BeatOverrideSaved:
        wanted = checked(
            SaveBeatOverride,
            track_id=str(id),
            version=version,
            beats_ms=beats_ms,
            **given(downbeats=downbeats, note=note, if_match=None if if_match is None else [if_match]),
        )
        saved = await info.context.send(BEAT_OVERRIDE_SAVE, wanted, _SAVE_TIMEOUT_S)
        info.context.forget()
        return saved

    @strawberry.mutation(
        graphql_type=AlarmNode,
        description="Say that somebody takes care of an alarm; the first name and note stay.",
    )
    async def acknowledge_alarm(self, info: Context, id: strawberry.ID, note: str | None = None) -> Alarm:
        wanted = checked(AcknowledgeAlarm, alarm_id=str(id), **given(note=note))
        return await info.context.send(ALARM_ACKNOWLEDGE, wanted)

    @strawberry.mutation(
        graphql_type=DeploymentAcceptedNode,
        description="Deploy a version; `order` is the body of POST /deployments, and `key` lets it start only once.",
    )
    async def deploy(self, info: Context, order: JSON, key: str | None = None) -> DeploymentAccepted:
        fields: Any = order
        if not isinstance(fields, dict):
            raise GraphQLError("`order` must be an object.", extensions={CODE: "invalid_argument"})
        body = checked(DeploymentBody, **fields)
        try:
            return await start_deployment(info.context.gateway, body.order(), key, _PLAN_TIMEOUT_S)
        except QueryError as error:
            raise graphql_error(error) from error
        except ProblemError as problem:
            raise graphql_problem(problem) from problem
