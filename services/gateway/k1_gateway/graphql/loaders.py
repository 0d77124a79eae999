"""Reads what several fields of one document need, once: the dataloaders and the context of a document."""

import asyncio
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError
from strawberry.dataloader import DataLoader

from k1_contracts.base import Contract
from k1_contracts.descriptors import Q, Query, R
from k1_contracts.messages.analysis import JOB_GET, GetJob, JobView
from k1_contracts.messages.catalogue.tracks import (
    TRACK_DETAILS,
    VERSION_GET,
    GetTracks,
    GetVersion,
    TrackDetail,
    VersionDetail,
)
from k1_gateway.errors import ProblemError
from k1_gateway.graphql.errors import CODE, graphql_error, graphql_problem
from k1_gateway.http.context import GatewayContext
from k1_platform.nats.actors import current_actor
from k1_platform.nats.queries.rpc import REQUEST_TIMEOUT_S, QueryError, request

VersionKey = tuple[str, int]
_AT_ONCE = 16
"""Requests of one kind at the same time, where a service takes no batches."""


class Readers:
    """The context of one document. Each thing is requested once, in one batch where its service takes batches."""

    def __init__(self, gateway: GatewayContext, remote: str | None) -> None:
        self.gateway = gateway
        self._remote = remote
        self.tracks: DataLoader[str, TrackDetail] = DataLoader(self._load_tracks, max_batch_size=200)
        self.versions: DataLoader[VersionKey, VersionDetail] = DataLoader(
            self._load_versions, max_batch_size=_AT_ONCE
        )
        self.jobs: DataLoader[str, JobView] = DataLoader(self._load_jobs, max_batch_size=_AT_ONCE)

    def renewed(self) -> "Readers":
        """Return readers that have read nothing yet, for the next event of a subscription."""
        return Readers(self.gateway, self._remote)

    def forget(self) -> None:
        """Forget what was read, because something changed."""
        self.tracks.clear_all()
        self.versions.clear_all()
        self.jobs.clear_all()

    async def send(self, query: Query[Q, R], body: Q, timeout_s: float = REQUEST_TIMEOUT_S) -> R:
        """Send a query to its service and return the result.

        Raises:
            GraphQLError: the error of the service, with its code.
        """
        try:
            return await request(self.gateway.bus.broker, query, body, timeout_s=timeout_s)
        except QueryError as error:
            raise graphql_error(error) from error

    async def send_analysis(self, query: Query[Q, R], body: Q) -> R:
        """Send a query that makes a job, within the caller's allowance for analyses, as over HTTP.

        Raises:
            GraphQLError: `rate_limited`, or the error of the service.
        """
        try:
            async with self.gateway.rate_limiter.admit("analyses", self._remote, current_actor()):
                return await self.send(query, body)
        except ProblemError as problem:
            raise graphql_problem(problem) from problem

    async def kept_jobs(self, ids: Sequence[str]) -> list[JobView]:
        """Return those of the jobs that are still kept."""
        found = await asyncio.gather(*map(self.jobs.load, ids), return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException) and not _is_unknown_job(each):
                raise each
        return [each for each in found if isinstance(each, JobView)]

    async def _load_tracks(self, ids: list[str]) -> list[TrackDetail | BaseException]:
        found = await self.send(TRACK_DETAILS, GetTracks(track_ids=ids))
        by_id = {detail.track.id: detail for detail in found.items}
        return [by_id.get(one) or _track_not_found(one) for one in ids]

    async def _load_versions(self, keys: list[VersionKey]) -> list[VersionDetail | BaseException]:
        return await self._each(
            VERSION_GET, [GetVersion(track_id=one, version=number) for one, number in keys]
        )

    async def _load_jobs(self, ids: list[str]) -> list[JobView | BaseException]:
        return await self._each(JOB_GET, [GetJob(job_id=one) for one in ids])

    async def _each(self, query: Query[Any, R], bodies: Sequence[Contract]) -> list[R | BaseException]:
        """Send several queries at the same time; the place of one that failed holds its error."""
        return await asyncio.gather(*(self.send(query, body) for body in bodies), return_exceptions=True)


def _is_unknown_job(error: BaseException) -> bool:
    return isinstance(error, GraphQLError) and (error.extensions or {}).get(CODE) == "job_not_found"


def _track_not_found(track_id: str) -> BaseException:
    return graphql_error(QueryError("track_not_found", f"There is no track {track_id}.", 404))
