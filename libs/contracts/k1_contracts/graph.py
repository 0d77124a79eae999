"""The K1 graph and what is computed from it, as they travel and are stored.

Field names on the wire are those of the artefacts (`isDag`, `pixelMismatchPct`, ...); in Python they are
snake_case. Both spellings are read.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from k1_contracts.base import Contract, JsonObject

GRAPH_VERSION = "v1.0"
BUNDLE_VERSION = "1.0"

Severity = Literal["error", "warning"]
RuntimeRisk = Literal["green", "amber", "red"]
FlashKind = Literal["general", "red"]
Confidence = Annotated[float, Field(ge=0, le=1)]


class GraphContract(Contract):
    """A model whose wire names may differ from its Python names."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class GraphNode(GraphContract):
    """One node: `inputs` maps a port to `source_id`, or to `source_id.output` for a second output."""

    id: str
    type: str
    inputs: dict[str, str] = Field(default_factory=dict[str, str])
    params: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    meta: JsonObject | None = None


class GraphDocument(GraphContract):
    """graph.json, version v1.0."""

    name: str
    version: Literal["v1.0"] = GRAPH_VERSION
    meta: JsonObject | None = None
    nodes: list[GraphNode]


class Violation(GraphContract):
    """One broken rule: what, where, and what to do about it."""

    rule: str
    severity: Severity
    node: str | None = None
    message: str
    fix: str


class GraphValidation(GraphContract):
    """graph.validation.json: `ok` means no errors, warnings may remain."""

    ok: bool
    errors: int
    warnings: int
    violations: list[Violation]


class Outdegree(GraphContract):
    min: int
    max: int
    avg: float


class GraphMetrics(GraphContract):
    """The artefact graph.metrics.json."""

    nodes: int
    edges: int
    outdegree: Outdegree
    is_dag: bool = Field(validation_alias="isDag", serialization_alias="isDag")
    disconnected_components: int = Field(
        validation_alias="disconnectedComponents", serialization_alias="disconnectedComponents"
    )
    """Weakly connected parts; 1 for a graph in one piece."""
    depth: int
    """Nodes on the longest path."""
    state_bytes: int
    scratch_peak_bytes: int


class GraphAnalysis(GraphContract):
    """graph.analysis.json; BFS and DFS walk from the root against the flow of data."""

    topological_order: list[str]
    bfs: list[str]
    dfs: list[str]
    critical_path: list[str]
    critical_path_us: float


class NodeCost(GraphContract):
    node: str
    type: str
    cost_us: float
    state_bytes: int


class RuntimeEstimate(GraphContract):
    """What a frame costs on a device."""

    est_ms: float
    cpu_pct: float
    """Of the 8 ms frame budget."""
    mem_kb: float
    confidence: Confidence
    """Cost-weighted trust in the catalogue's costs: 0.95 for a measured one, 0.6 for a stated one."""


class GraphEstimate(RuntimeEstimate):
    """The artefact graph.estimate.json."""

    risk: RuntimeRisk
    frame_cpu_pct: float
    """Of the whole 20 ms frame at 50 fps."""
    critical_path: list[str]
    critical_path_ms: float
    nodes: list[NodeCost]


class ParamChange(GraphContract):
    node: str
    param: str
    before: JsonValue = Field(default=None, validation_alias="from", serialization_alias="from")
    """Absent where the parameter was not given."""
    after: JsonValue = Field(default=None, validation_alias="to", serialization_alias="to")


class InputChange(GraphContract):
    node: str
    port: str
    before: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    after: str | None = Field(default=None, validation_alias="to", serialization_alias="to")


class GraphImpact(GraphContract):
    """graph.impact.json: what changes against the graph that runs now."""

    added_nodes: list[str]
    removed_nodes: list[str]
    changed_params: list[ParamChange]
    changed_inputs: list[InputChange]
    changed_nodes: list[str] = Field(validation_alias="changedNodes", serialization_alias="changedNodes")
    """Changed themselves or downstream of a change."""
    closure_depth: int = Field(validation_alias="closureDepth", serialization_alias="closureDepth")
    """Edges from a change to the farthest node that feels it."""
    impact_order: list[str] = Field(validation_alias="impactOrder", serialization_alias="impactOrder")
    """`changedNodes` in the order in which a frame computes them."""
    template_version: str | None = None
    confidence: Confidence | None = None
    against: str | None = None
    """What it is compared with, in words."""


class Rewrite(GraphContract):
    """One step of the optimiser."""

    kind: Literal["constant", "identity", "common", "dead"]
    node: str
    detail: str


class ExecutorScale(GraphContract):
    """graph.executor.scale.json: the graph before and after optimisation, both run over the whole song."""

    before_ms: float
    """Estimated milliseconds a frame on a device."""
    after_ms: float
    cpu_pct_before: float
    cpu_pct_after: float
    nodes_before: int
    nodes_after: int
    state_bytes_before: int
    state_bytes_after: int
    rewrites: list[Rewrite]
    frames: int
    fps: int
    leds: int
    pixels_identical: bool
    pixels_sha256: str
    """SHA-256 over the plain graph's RGB bytes, frame by frame."""
    approximations: list[str]


class CurrentDraw(GraphContract):
    """At 20 mA a channel, 60 mA a white LED, proportional to the pixel value (no gamma: an upper bound)."""

    mean_ma: float
    peak_ma: float
    peak_at_ms: float
    ma_per_led: float


class FlashSpan(GraphContract):
    """A stretch in which every one-second window beginning in it holds too many flashes."""

    start_ms: float
    end_ms: float


class FlashFinding(GraphContract):
    """The worst second for one kind of flash."""

    kind: FlashKind
    passed: bool
    max_flashes_per_second: float
    """Opposing transitions halved, in the worst one-second window."""
    at_ms: float | None = None
    """Where that window begins; None when nothing flashes."""
    fraction: float
    """Share of the LEDs taking part in it."""
    node: str | None = None
    """The node that, held still, ends the failure; None when it passes or no single node does."""
    spans: list[FlashSpan]


class Photosensitivity(GraphContract):
    """WCAG 2.3.1, three flashes or below threshold."""

    passed: bool
    standard: str
    area_threshold: float
    general: FlashFinding
    red: FlashFinding


class VisualReport(GraphContract):
    """The artefact visual.report.json."""

    pixel_mismatch_pct: float = Field(
        validation_alias="pixelMismatchPct", serialization_alias="pixelMismatchPct"
    )
    max_delta_lab: float = Field(validation_alias="maxDeltaLab", serialization_alias="maxDeltaLab")
    delta_formula: str
    frames_tested: int = Field(validation_alias="framesTested", serialization_alias="framesTested")
    current: CurrentDraw
    photosensitivity: Photosensitivity
    approximations: list[str]


class Reason(GraphContract):
    """Why the recommended graph looks as it does; `time_ms` where it is about a moment."""

    text: str
    node: str | None = None
    time_ms: float | None = None


class Evidence(GraphContract):
    """How far one layer of the map can be trusted and how much of the show hangs on it."""

    source: str
    trust: Confidence
    weight: Confidence


class GraphRecommendation(GraphContract):
    """The graph chosen for a song. `confidence` is the mean trust of its evidence, weighted by use."""

    graph: GraphDocument
    preset: str
    template: str
    template_version: str
    confidence: Confidence
    confidence_meaning: str
    evidence: list[Evidence]
    reasons: list[Reason]


class BundleManifest(GraphContract):
    """The signed head of bundle.k1b."""

    bundle_version: str = BUNDLE_VERSION
    firmware_min_version: str
    required_nodes: list[str]
    map_version: str
    track_id: str
    track_version: int
    map_sha256: str
    checksum_sha256: str
    """SHA-256 over the map, graph and assets parts, in that order."""
    key_id: str
    """First 16 hex digits of the SHA-256 of the public key that signed it."""
    signature: str
    """Ed25519 over the manifest's CBOR bytes, as hex."""
