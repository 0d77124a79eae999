"""Reads what several fields of one document need, once: the dataloaders and the context of a document."""

import asyncio
from collections.abc import Sequence
from typing import Any

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
from k1_gateway.graphql.errors import graphql_error
from k1_gateway.http.context import GatewayContext
from k1_platform.nats.rpc import REQUEST_TIMEOUT_S, QueryError, request

VersionKey = tuple[str, int]
_AT_ONCE = 16
"""Requests of one kind at the same time, where a service takes no batches."""


class Readers:
    """The context of one document. Each thing is requested once, in one batch where its service takes batches."""

    def __init__(self, gateway: GatewayContext) -> None:
        self.gateway = gateway
        self.tracks: DataLoader[str, TrackDetail] = DataLoader(self._load_tracks, max_batch_size=200)
        self.versions: DataLoader[VersionKey, VersionDetail] = DataLoader(
            self._load_versions, max_batch_size=_AT_ONCE
        )
        self.jobs: DataLoader[str, JobView] = DataLoader(self._load_jobs, max_batch_size=_AT_ONCE)

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


def _track_not_found(track_id: str) -> BaseException:
    return graphql_error(QueryError("track_not_found", f"There is no track {track_id}.", 404))
