"""Defines the queries about graphs, presets, node types and keys."""

from typing import Final, Literal

from pydantic import Field, JsonValue

from k1_contracts.base import Contract, JsonObject, UtcTime
from k1_contracts.descriptors import Query
from k1_contracts.graph import (
    ExecutorScale,
    GraphContract,
    GraphDocument,
    GraphEstimate,
    GraphImpact,
    GraphMetrics,
    GraphValidation,
    VisualReport,
)
from k1_contracts.ids import Sha256, TrackId
from k1_contracts.messages.catalogue.tracks import Artefact
from k1_contracts.tracks import Preset, StoredFile, Version

GraphSource = Literal["recommended", "edited"]


class GetGraph(Contract):
    track_id: TrackId
    version: Version
    source: Literal["recommended"] | None = None
    """With `recommended` the graph as it was recommended, whatever was edited since; the latest by default."""


class GraphView(GraphContract):
    """The graph that a version has now."""

    graph: JsonObject
    etag: str
    """Changes with every edit; for `if_match`."""
    revision: int = Field(ge=1)
    """1 is the first graph of this version."""
    source: GraphSource
    created_at: UtcTime


class PutGraph(Contract):
    track_id: TrackId
    version: Version
    graph: JsonValue = None
    """Any JSON, null too: the validator says what is wrong with it."""
    if_match: list[str] | None = None
    """Tags of which the graph must have one; None writes over whatever is there."""


class GraphSaved(GraphContract):
    """What an edit means, computed at once. What only a run can tell is absent until the next simulation."""

    etag: str
    revision: int = Field(ge=1)
    validation: GraphValidation
    """Without errors; it may hold warnings."""
    metrics: GraphMetrics
    estimate: GraphEstimate
    impact: GraphImpact
    outdated: list[str]
    """Names of the artefacts that are missing until the graph is simulated."""


class Simulate(Contract):
    track_id: TrackId
    version: Version
    graph: JsonValue | None = None
    """A graph to try without saving it; the version's own otherwise."""


class Simulated(GraphContract):
    """Milliseconds a frame on a device, estimated, before and after optimisation, and what the run showed."""

    before_ms: float
    after_ms: float
    cpu_pct_before: float
    cpu_pct_after: float
    saved: bool
    """False for a graph that was only tried."""
    executor_scale: ExecutorScale
    visual_report: VisualReport
    artefacts: list[Artefact]
    """The files of this run, with signed URLs."""


class SimulateGraph(Contract):
    """From the catalogue to a worker: run a valid graph over a stored map."""

    genesis_key: str
    genesis_sha256: Sha256
    graph: GraphDocument


class GraphSimulated(GraphContract):
    executor_scale: ExecutorScale
    visual_report: VisualReport
    files: list[StoredFile]


class ListPresets(Contract):
    """All presets; no arguments."""


class BandGains(Contract):
    bass: float
    mids: float
    highs: float


class ShowTemplate(Contract):
    """The graph that a preset starts from; a value `$name` is fitted to the song."""

    name: str
    version: str
    about: str
    expected_bpm: tuple[float, float]
    nodes: list[JsonObject]


class PresetView(Contract):
    name: Preset
    title: str
    aliases: list[str]
    tempo_bpm: tuple[float, float]
    metres: list[int]
    """Beats a bar that the engine favours."""
    band_gains: BandGains
    sections: list[str]
    template: ShowTemplate


class PresetList(Contract):
    presets: list[PresetView]


class ListNodes(Contract):
    """The node catalogue; no arguments."""


class NodePort(Contract):
    name: str
    type: str
    required: bool = True
    drives: bool = False
    """Whether the parameter of the same name gives the value while nothing is connected."""


class NodeOutput(Contract):
    name: str
    type: str


class NodeParam(Contract):
    name: str
    kind: str
    default: JsonValue = None
    about: str
    min: float | None = None
    max: float | None = None
    unit: str = ""
    choices: list[str]
    min_items: int = 0
    max_items: int = 0


class NodeType(Contract):
    """One node type; cost in microseconds a frame at 180 LEDs, state in bytes kept between frames."""

    type: str
    group: str
    about: str
    behaviour: str
    cost_us: float
    cost_per: str | None = None
    """The parameter by which the cost is multiplied."""
    cost_source: str
    state_bytes: int
    state_per: str | None = None
    """The parameter by which the state is multiplied."""
    state_allowed: bool
    microphone: bool
    """Whether it listens to the room instead of reading the map."""
    inputs: list[NodePort]
    outputs: list[NodeOutput]
    params: list[NodeParam]


class NodeCatalogue(Contract):
    firmware_min_version: str
    """The oldest firmware that knows all these types."""
    nodes: list[NodeType]


class ListKeys(Contract):
    """The public keys that bundles are signed with; no arguments."""


class PublicKey(Contract):
    """A JSON Web Key (RFC 7517, RFC 8037)."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str
    """`key_id` of the bundles' manifests."""
    x: str
    """The 32 bytes of the key, base64url without padding."""


class KeySet(Contract):
    """A JWK set, the key that signs now first."""

    keys: list[PublicKey]
    document: str | None = None
    """The same set as text, exactly as it was signed: what a device is told by `trust`."""
    signatures: dict[str, str] = Field(default_factory=dict[str, str])
    """Ed25519 over the document's UTF-8 bytes, hex, by the `kid` of every listed key: a device that trusts
    one of them accepts the others."""


GRAPH_GET: Final = Query("rpc.catalogue.graph.get", GetGraph, GraphView, summary="The graph of a version")
GRAPH_PUT: Final = Query(
    "rpc.catalogue.graph.put", PutGraph, GraphSaved, summary="Edit the graph", role="editor"
)
GRAPH_SIMULATE: Final = Query(
    "rpc.catalogue.graph.simulate",
    Simulate,
    Simulated,
    summary="Run a graph over the map of a version",
    role="editor",
)
GRAPH_RUN: Final = Query(
    "rpc.analysis.graph.simulate",
    SimulateGraph,
    GraphSimulated,
    summary="Run a graph over a stored map, in a worker's child",
    senders=("catalogue",),
    role="editor",
)
NODE_LIST: Final = Query("rpc.catalogue.node.list", ListNodes, NodeCatalogue, summary="The node catalogue")
PRESET_LIST: Final = Query(
    "rpc.analysis.preset.list", ListPresets, PresetList, summary="The presets with their templates"
)
KEY_LIST: Final = Query(
    "rpc.catalogue.key.list",
    ListKeys,
    KeySet,
    summary="The public keys that bundles are signed with",
    senders=("gateway", "deploy"),
)
