"""Answers the queries that precede a deployment: the bundle of a version, and the changes on a device."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from k1_catalogue import errors
from k1_catalogue.graphs.graph_report import compare_graphs
from k1_catalogue.graphs.revisions import Baseline, GraphRevision
from k1_catalogue.graphs.store import current_graph
from k1_catalogue.tracks.artefact_store import StoredArtefact, artefacts_of_version
from k1_catalogue.tracks.store import is_deleted
from k1_catalogue.tracks.trace_store import find_trace
from k1_catalogue.tracks.version_checks import require_map, require_version
from k1_contracts.graph import GraphDocument, GraphEstimate, GraphImpact, RuntimeEstimate, VisualReport
from k1_contracts.messages.deploy.bundles import BundleInfo, BundleRef, CompareGraphs, GetBundle, bundle_key
from k1_contracts.messages.deploy.device_link import RunningBundle
from k1_graph.bundle.container import BundleHead, read_head
from k1_graph.errors import BundleError, GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.reports.estimate import estimate
from k1_graph.validation.validator import compile_graph
from k1_platform.postgres.pool import Pool
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectNotFoundError, ObjectStore

_MAX_CACHED_HEADS: Final = 256
"""Bundle heads in the cache, about 10 KiB each; a bundle never changes."""


@dataclass(frozen=True, slots=True)
class _Version:
    """A version that was analysed, with its artefacts and its graph, read in one transaction."""

    fields: dict[str, Any]
    artefacts: list[StoredArtefact]
    graph: GraphRevision | None
    traceparent: str | None

    def artefact(self, kind: str) -> StoredArtefact | None:
        """Return the first artefact of this type; None if there is none."""
        return next((each for each in self.artefacts if each.artefact.type == kind), None)


@dataclass(frozen=True, slots=True)
class BundleQueries:
    """Answers from the tables and from the bundles in the object store."""

    pool: Pool
    objects: ObjectStore
    heads: OrderedDict[str, BundleHead] = field(default_factory=OrderedDict[str, BundleHead])
    """The cache of bundle heads by SHA-256; the least recently used is removed first."""

    async def get_bundle(self, query: GetBundle) -> BundleInfo:
        """Return the bundle of a version and the values that the gates check; raise `track_deleted` too."""
        track_id, version = query.track_id, query.version
        async with self.pool.acquire() as connection:
            if await is_deleted(connection, track_id):
                raise errors.track_deleted(track_id)
        found = await self._read_version(track_id, version)
        bundle = found.artefact("bundle")
        if bundle is None or found.graph is None:
            raise errors.bundle_missing(track_id, version)
        sha256 = bundle.artefact.sha256 or ""
        try:
            head = await self._head(sha256, bundle.key)
        except (ObjectNotFoundError, BundleError) as error:
            raise errors.bundle_missing(track_id, version) from error
        cost = await in_thread(_estimate, head.graph)
        size = bundle.artefact.size_bytes or 0
        return BundleInfo(
            bundle=BundleRef(sha256=sha256, size=size, track_id=track_id, version=version),
            key=bundle.key,
            manifest=head.manifest,
            runtime_estimate=RuntimeEstimate.model_validate(cost.model_dump()),
            risk=cost.risk,
            photosensitivity_passed=await self._photosensitivity_passed(found),
            f_measure=found.fields["summary"].f_measure,
            f_measure_reference=found.fields["summary"].f_measure_reference,
            integrity=found.fields["summary"].integrity,
            track_status=found.fields["status"],
            traceparent=found.traceparent,
        )

    async def compare_graphs(self, query: CompareGraphs) -> GraphImpact:
        """Return the changes on a device, compared with the graph in the bundle that it runs."""
        track_id, version = query.track_id, query.version
        found = await self._read_version(track_id, version)
        if found.graph is None:
            raise errors.graph_missing(track_id, version)
        running = query.running
        try:
            head = await self._head(running.bundle_sha256, bundle_key(running.bundle_sha256))
        except (ObjectNotFoundError, BundleError) as error:
            raise errors.bundle_unknown(running.bundle_sha256) from error
        baseline = Baseline(head.graph.model_dump_json(exclude_none=True), _bundle_name(running, track_id))
        return await in_thread(_impact, found.graph.document, baseline)

    async def _read_version(self, track_id: str, version: int) -> _Version:
        async with (
            self.pool.acquire() as connection,
            # An edit removes the bundle and replaces the graph in one transaction.
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            fields = await require_version(connection, track_id, version)
            require_map(fields, track_id)
            artefacts = await artefacts_of_version(connection, track_id, version, inline=True)
            graph = await current_graph(connection, track_id, version)
            traceparent = await find_trace(connection, track_id, version)
        return _Version(fields, artefacts, graph, traceparent)

    async def _head(self, sha256: str, key: str) -> BundleHead:
        known = self.heads.get(sha256)
        if known is None:
            data = await self.objects.get_bytes(key)
            known = self.heads[sha256] = await in_thread(read_head, data)
        self.heads.move_to_end(sha256)
        while len(self.heads) > _MAX_CACHED_HEADS:
            self.heads.popitem(last=False)
        return known

    async def _photosensitivity_passed(self, version: _Version) -> bool | None:
        report = version.artefact("visual_report")
        if report is None:
            return None
        try:
            if report.artefact.inline_json is not None:
                return VisualReport.model_validate(report.artefact.inline_json).photosensitivity.passed
            data = await self.objects.get_bytes(report.key)
            return VisualReport.model_validate_json(data).photosensitivity.passed
        except (ObjectNotFoundError, ValidationError):
            return None


def _estimate(graph: GraphDocument) -> GraphEstimate:
    """Return the estimate as in graph.estimate.json, with the costs of this release."""
    return estimate(_compiled(graph))


def _impact(document: str, baseline: Baseline) -> GraphImpact:
    wanted = GraphDocument.model_validate_json(document)
    return compare_graphs(wanted, _compiled(wanted), baseline)


def _compiled(document: GraphDocument) -> Graph:
    try:
        return compile_graph(document)
    except GraphInvalidError as error:
        message = (
            f"The graph was stored by an earlier release and breaks rules of this one: {error}. Edit it."
        )
        raise errors.graph_invalid(message, error.validation.violations) from error


def _bundle_name(running: RunningBundle, track_id: str) -> str:
    if running.track_id is None or running.version is None:
        return f"the bundle {running.bundle_sha256[:12]}"
    of = "" if running.track_id == track_id else f" of {running.track_id}"
    return f"version {running.version}{of}"
