"""The root of the subscriptions, over the live feed of the gateway."""

from collections.abc import AsyncGenerator

import msgspec
import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON

from k1_contracts.base import JsonObject
from k1_contracts.messages.analysis import GetJob, JobView
from k1_contracts.messages.catalogue.tracks import GetTrack, TrackSummary
from k1_contracts.messages.deploy.deployment_queries import DEPLOYMENT_GET, DeploymentView, GetDeployment
from k1_gateway.errors import ProblemError
from k1_gateway.graphql.arguments import checked
from k1_gateway.graphql.errors import CODE
from k1_gateway.graphql.loaders import Readers
from k1_gateway.graphql.nodes import Context, DeploymentNode, JobNode, TrackNode
from k1_gateway.live.feed_notices import dropped_notice, gap_notice
from k1_gateway.live.feed_requests import WatchFeed, require_ready
from k1_platform.processes.tasks import is_set_within

_LOOK_AT_END_S = 1.0
_ENDED = frozenset({"completed", "failed", "cancelled"})


@strawberry.type
class Subscription:
    """Everything that can be watched."""

    @strawberry.subscription(
        graphql_type=JSON,
        description="The events of the live feed by topic, each as JSON with `id` and `type`; `after` is the id of the "
        "last one received, and replays what was missed.",
    )
    async def events(
        self, info: Context, topics: list[str], after: str | None = None
    ) -> AsyncGenerator[JsonObject, None]:
        watch = checked(WatchFeed, topics=topics, last_event_id=after)
        async for event in _events(info.context, watch):
            yield event

    @strawberry.subscription(
        graphql_type=JobNode, description="A job now, and at each change, until it has ended."
    )
    async def job(self, info: Context, id: strawberry.ID) -> AsyncGenerator[JobView, None]:
        job_id = checked(GetJob, job_id=str(id)).job_id
        job = await info.context.renewed().jobs.load(job_id)
        yield job
        if job.status in _ENDED:
            return
        async for _ in _events(info.context, checked(WatchFeed, topics=[f"track:{job.track_id}"])):
            changed = await info.context.renewed().jobs.load(job_id)
            yield changed
            if changed.status in _ENDED:
                return

    @strawberry.subscription(graphql_type=TrackNode, description="A track now, and after each of its events.")
    async def track(self, info: Context, id: strawberry.ID) -> AsyncGenerator[TrackSummary, None]:
        track_id = checked(GetTrack, track_id=str(id)).track_id
        yield (await info.context.renewed().tracks.load(track_id)).track
        async for _ in _events(info.context, checked(WatchFeed, topics=[f"track:{track_id}"])):
            info.context.forget()
            yield (await info.context.tracks.load(track_id)).track

    @strawberry.subscription(
        graphql_type=DeploymentNode, description="A deployment now, and after each of its events."
    )
    async def deployment(
        self,
        info: Context,
        id: strawberry.ID,
    ) -> AsyncGenerator[DeploymentView, None]:
        query = checked(GetDeployment, deployment_id=str(id))
        yield await info.context.send(DEPLOYMENT_GET, query)
        async for _ in _events(
            info.context, checked(WatchFeed, topics=[f"deployment:{query.deployment_id}"])
        ):
            info.context.forget()
            yield await info.context.send(DEPLOYMENT_GET, query)


async def _events(readers: Readers, watch: WatchFeed) -> AsyncGenerator[JsonObject, None]:
    """Yield the events of the feed, and notices that some were lost; end when the gateway asks the client to go."""
    feed = readers.gateway.feed
    try:
        position = await require_ready(feed, watch.last_event_id)
    except ProblemError as problem:
        raise GraphQLError(str(problem), extensions={CODE: problem.code}) from problem
    with feed.client("graphql") as client:
        feed.start(client, watch.wanted, position)
        while client.close_reason is None:
            await is_set_within(client.queue.changed, _LOOK_AT_END_S)
            batch = client.queue.take()
            for gap in batch.gaps:
                yield gap_notice(gap)
            if batch.dropped:
                yield dropped_notice(batch.dropped)
            for at, event in batch.events:
                yield msgspec.json.decode(event.as_json(at))
