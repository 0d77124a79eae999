"""Answers for deployments: the bundle of a version, and what changes for a device that runs another one."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from k1_catalogue import details, errors
from k1_catalogue.details import KeptArtefact
from k1_catalogue.graph_store import Baseline, StoredGraph, current_graph
from k1_catalogue.questions import find_version_or_refuse, require_map
from k1_catalogue.shows import compare
from k1_contracts.bundles import BundleInfo, BundleRef, CompareGraphs, GetBundle, bundle_key
from k1_contracts.devices import RunningBundle
from k1_contracts.graph import GraphDocument, GraphEstimate, GraphImpact, RuntimeEstimate, VisualReport
from k1_graph.bundle.container import BundleHead, read_head
from k1_graph.errors import BundleError, GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.reports.estimate import estimate
from k1_graph.validation.validator import compile_graph
from k1_platform.database import Pool
from k1_platform.objects import ObjectMissingError, ObjectStore
from k1_platform.threads import in_thread

_HEADS: Final = 256
"""Bundles whose manifest and graph are kept at hand, some 10 KiB each; a bundle never changes."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the tables hold of a version that was analysed, read at one moment."""

    fields: dict[str, Any]
    artefacts: list[KeptArtefact]
    graph: StoredGraph | None

    def artefact(self, kind: str) -> KeptArtefact | None:
        return next((each for each in self.artefacts if each.artefact.type == kind), None)


@dataclass(frozen=True, slots=True)
class Bundles:
    """Answers from the tables and the bundles themselves."""

    pool: Pool
    objects: ObjectStore
    heads: OrderedDict[str, BundleHead] = field(default_factory=OrderedDict[str, BundleHead])

    async def get_bundle(self, question: GetBundle) -> BundleInfo:
        """The bundle of a version and what the gates look at."""
        track_id, version = question.track_id, question.version
        found = await self._find(track_id, version)
        bundle = found.artefact("bundle")
        if bundle is None or found.graph is None:
            raise errors.bundle_missing(track_id, version)
        sha256 = bundle.artefact.sha256 or ""
        try:
            head = await self._head(sha256, bundle.key)
        except (ObjectMissingError, BundleError) as error:
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
            integrity=found.fields["summary"].integrity,
            track_status=found.fields["status"],
        )

    async def compare(self, question: CompareGraphs) -> GraphImpact:
        """What changes on a device, by the graph in the bundle that it runs."""
        track_id, version = question.track_id, question.version
        found = await self._find(track_id, version)
        if found.graph is None:
            raise errors.graph_missing(track_id, version)
        running = question.running
        try:
            head = await self._head(running.bundle_sha256, bundle_key(running.bundle_sha256))
        except (ObjectMissingError, BundleError) as error:
            raise errors.bundle_unknown(running.bundle_sha256) from error
        before = Baseline(head.graph.model_dump_json(exclude_none=True), _name(running, track_id))
        return await in_thread(_impact, found.graph.document, before)

    async def _find(self, track_id: str, version: int) -> _Found:
        async with (
            self.pool.acquire() as connection,
            # An edit takes the bundle away and puts another graph in one transaction.
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            fields = await find_version_or_refuse(connection, track_id, version)
            require_map(fields, track_id)
            artefacts = await details.artefacts_of_version(connection, track_id, version, inline=True)
            graph = await current_graph(connection, track_id, version)
        return _Found(fields, artefacts, graph)

    async def _head(self, sha256: str, key: str) -> BundleHead:
        known = self.heads.get(sha256)
        if known is None:
            data = await self.objects.get_bytes(key)
            known = self.heads[sha256] = await in_thread(read_head, data)
        self.heads.move_to_end(sha256)
        while len(self.heads) > _HEADS:
            self.heads.popitem(last=False)
        return known

    async def _photosensitivity_passed(self, found: _Found) -> bool | None:
        report = found.artefact("visual_report")
        if report is None:
            return None
        try:
            if report.artefact.inline_json is not None:
                return VisualReport.model_validate(report.artefact.inline_json).photosensitivity.passed
            data = await self.objects.get_bytes(report.key)
            return VisualReport.model_validate_json(data).photosensitivity.passed
        except (ObjectMissingError, ValidationError):
            return None


def _estimate(graph: GraphDocument) -> GraphEstimate:
    """As in graph.estimate.json, by what this release knows of the costs."""
    return estimate(_compiled(graph))


def _impact(document: str, before: Baseline) -> GraphImpact:
    wanted = GraphDocument.model_validate_json(document)
    return compare(wanted, _compiled(wanted), before)


def _compiled(document: GraphDocument) -> Graph:
    try:
        return compile_graph(document)
    except GraphInvalidError as error:
        message = f"The graph was kept by an earlier release and breaks rules of this one: {error}. Edit it."
        raise errors.graph_invalid(message, error.validation.violations) from error


def _name(running: RunningBundle, track_id: str) -> str:
    if running.track_id is None or running.version is None:
        return f"the bundle {running.bundle_sha256[:12]}"
    of = "" if running.track_id == track_id else f" of {running.track_id}"
    return f"version {running.version}{of}"
