"""Computes the reports and the signed bundle of a graph, without running it. Pure."""

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from k1_catalogue.graphs.revisions import Baseline
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import (
    GraphAnalysis,
    GraphDocument,
    GraphEstimate,
    GraphImpact,
    GraphMetrics,
    GraphValidation,
)
from k1_contracts.messages.deploy.bundles import bundle_key
from k1_contracts.tracks import ArtefactRef, ArtefactType, StoredFile
from k1_graph.bundle.container import build_bundle
from k1_graph.errors import GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.reports.analysis import analyse, metrics
from k1_graph.reports.estimate import estimate
from k1_graph.reports.impact import impact
from k1_graph.validation.validator import compile_graph, validate

RUN_ARTEFACTS: Final[tuple[ArtefactType, ...]] = (
    "graph_executor_scale",
    "visual_report",
    "preview",
    "bundle",
)
"""The artefacts that need a run of the graph: an edit makes them outdated."""
_NO_BASELINE: Final = "nothing: the track had no graph before"


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """An artefact that the catalogue makes itself."""

    type: ArtefactType
    name: str
    data: bytes
    content_type: str = "application/json"

    @property
    def key(self) -> str:
        """Return its key in the object store, which contains its hash."""
        sha256 = hashlib.sha256(self.data).hexdigest()
        return bundle_key(sha256) if self.type == "bundle" else f"graphs/{sha256}/{self.name}"

    def ref(self, track_id: str, version: int) -> ArtefactRef:
        """Return the reference to it as an artefact of this version."""
        file = StoredFile(
            type=self.type,
            name=self.name,
            key=self.key,
            size_bytes=len(self.data),
            sha256=hashlib.sha256(self.data).hexdigest(),
            content_type=self.content_type,
        )
        return ArtefactRef.of(file, track_id, version)


@dataclass(frozen=True, slots=True)
class GraphReport:
    """Everything that can be computed from a graph without running it."""

    validation: GraphValidation
    metrics: GraphMetrics
    estimate: GraphEstimate
    analysis: GraphAnalysis
    impact: GraphImpact

    def files(self, document: str) -> tuple[GeneratedFile, ...]:
        """Return the artefacts of an edit; `document` is the graph as JSON text."""
        return (
            GeneratedFile("graph", "graph.json", document.encode()),
            _json_file("graph_metrics", "graph.metrics.json", self.metrics),
            _json_file("graph_estimate", "graph.estimate.json", self.estimate),
            _json_file("graph_validation", "graph.validation.json", self.validation),
            impact_file(self.impact),
            _json_file("graph_analysis", "graph.analysis.json", self.analysis),
        )


def report_graph(document: GraphDocument, graph: Graph, baseline: Baseline | None) -> GraphReport:
    """Return the report of a graph, compared with `baseline`."""
    return GraphReport(
        validation=validate(document.model_dump(mode="json", exclude_none=True)),
        metrics=metrics(graph),
        estimate=estimate(graph),
        analysis=analyse(graph),
        impact=compare_graphs(document, graph, baseline),
    )


def compare_graphs(document: GraphDocument, graph: Graph, baseline: Baseline | None) -> GraphImpact:
    """Return the changes from the baseline; a baseline that this release rejects counts as no graph."""
    meta = document.meta or {}
    version, confidence = meta.get("template_version"), meta.get("confidence")
    found = impact(
        _compiled_baseline(baseline),
        graph,
        template_version=version if isinstance(version, str) else None,
        # A person who edits a graph may write anything into its meta.
        confidence=confidence if isinstance(confidence, float) and 0 <= confidence <= 1 else None,
    )
    return found.model_copy(update={"against": baseline.name if baseline else _NO_BASELINE})


def impact_file(found: GraphImpact) -> GeneratedFile:
    """Return the file `graph.impact.json`."""
    return _json_file("graph_impact", "graph.impact.json", found)


def bundle_file(
    genesis: GenesisMap, document: GraphDocument, track_id: str, version: int, key: Ed25519PrivateKey
) -> GeneratedFile:
    """Return the file `bundle.k1b`: the same bytes for the same map, graph, version and key.

    Raises:
        GraphError: the graph breaks rules, or the bundle would be too large.
    """
    bundle = build_bundle(genesis=genesis, graph=document, track_id=track_id, track_version=version, key=key)
    return GeneratedFile("bundle", "bundle.k1b", bundle.data, "application/cbor")


def _compiled_baseline(baseline: Baseline | None) -> Graph | None:
    if baseline is None:
        return None
    try:
        return compile_graph(GraphDocument.model_validate_json(baseline.document))
    except GraphInvalidError:
        return None


def _json_file(kind: ArtefactType, name: str, body: BaseModel) -> GeneratedFile:
    return GeneratedFile(kind, name, body.model_dump_json(exclude_none=True).encode())
