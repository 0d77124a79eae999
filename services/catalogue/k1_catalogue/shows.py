"""What is computed from a graph without running it, and the signed bundle. Pure."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from k1_catalogue.graph_store import Baseline
from k1_contracts.bundles import bundle_key
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import (
    GraphAnalysis,
    GraphDocument,
    GraphEstimate,
    GraphImpact,
    GraphMetrics,
    GraphValidation,
)
from k1_contracts.tracks import ArtefactRef, ArtefactType, StoredFile
from k1_graph.bundle.container import build_bundle
from k1_graph.errors import GraphInvalidError
from k1_graph.graph import Graph
from k1_graph.reports.analysis import analyse, metrics
from k1_graph.reports.estimate import estimate
from k1_graph.reports.impact import impact
from k1_graph.validation.validator import compile_graph, validate

RUN_ARTEFACTS: tuple[ArtefactType, ...] = ("graph_executor_scale", "visual_report", "preview", "bundle")
"""What only a run of the graph can tell, and what may only be made after one."""
_NOTHING = "nothing: the track had no graph before"


@dataclass(frozen=True, slots=True)
class File:
    """An artefact that the catalogue makes itself."""

    type: ArtefactType
    name: str
    data: bytes
    content_type: str = "application/json"

    @property
    def key(self) -> str:
        """Where it lies: under its own hash."""
        sha256 = hashlib.sha256(self.data).hexdigest()
        return bundle_key(sha256) if self.type == "bundle" else f"graphs/{sha256}/{self.name}"

    def ref(self, track_id: str, version: int) -> ArtefactRef:
        """The artefact of this version."""
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
class Figures:
    """What a graph is, known without running it."""

    validation: GraphValidation
    metrics: GraphMetrics
    estimate: GraphEstimate
    analysis: GraphAnalysis
    impact: GraphImpact

    def files(self, document: str) -> tuple[File, ...]:
        """The artefacts of an edit."""
        return (
            File("graph", "graph.json", document.encode()),
            _json("graph_metrics", "graph.metrics.json", self.metrics),
            _json("graph_estimate", "graph.estimate.json", self.estimate),
            _json("graph_validation", "graph.validation.json", self.validation),
            _json("graph_impact", "graph.impact.json", self.impact),
            _json("graph_analysis", "graph.analysis.json", self.analysis),
        )


def figures(document: GraphDocument, graph: Graph, before: Baseline | None) -> Figures:
    """Compute them."""
    return Figures(
        validation=validate(document.model_dump(mode="json", exclude_none=True)),
        metrics=metrics(graph),
        estimate=estimate(graph),
        analysis=analyse(graph),
        impact=compare(document, graph, before),
    )


def compare(document: GraphDocument, graph: Graph, before: Baseline | None) -> GraphImpact:
    """What changes against the graph before; one that this release no longer accepts counts as none."""
    meta = document.meta or {}
    version, confidence = meta.get("template_version"), meta.get("confidence")
    found = impact(
        _running(before),
        graph,
        template_version=version if isinstance(version, str) else None,
        # The meta of an edit may say anything.
        confidence=confidence if isinstance(confidence, float) and 0 <= confidence <= 1 else None,
    )
    return found.model_copy(update={"against": before.name if before else _NOTHING})


def impact_file(found: GraphImpact) -> File:
    """graph.impact.json."""
    return _json("graph_impact", "graph.impact.json", found)


def bundle_file(
    genesis: GenesisMap, document: GraphDocument, track_id: str, version: int, key: Ed25519PrivateKey
) -> File:
    """bundle.k1b: the same map, graph, version and key give the same bytes.

    Raises:
        GraphError: the graph breaks rules, or the bundle would be too large.
    """
    bundle = build_bundle(genesis=genesis, graph=document, track_id=track_id, track_version=version, key=key)
    return File("bundle", "bundle.k1b", bundle.data, "application/cbor")


def _running(before: Baseline | None) -> Graph | None:
    if before is None:
        return None
    try:
        return compile_graph(GraphDocument.model_validate_json(before.document))
    except GraphInvalidError:
        return None


def _json(kind: ArtefactType, name: str, body: BaseModel) -> File:
    return File(kind, name, body.model_dump_json(exclude_none=True).encode())
