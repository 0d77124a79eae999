"""Defines checking a graph, saving one as a new version, and the events of edits and simulations of graphs."""

from typing import Final, Literal

from pydantic import Field, JsonValue

from k1_contracts.base import Contract, UtcTime
from k1_contracts.descriptors import Event, Query
from k1_contracts.graph import GraphContract, GraphEstimate, GraphImpact, GraphMetrics, GraphValidation
from k1_contracts.ids import TrackId
from k1_contracts.messages.catalogue.beats import BeatAuthor
from k1_contracts.streams import EVENTS
from k1_contracts.tracks import Notice, Version


class ValidateGraph(Contract):
    track_id: TrackId
    version: Version
    graph: JsonValue = None
    """Any JSON, null too: the validator says what is wrong with it."""


class GraphValidated(GraphContract):
    """What an edit with this graph would mean; nothing is saved."""

    validation: GraphValidation
    """Every violation, with what mends it. With `ok` false the other fields are absent."""
    metrics: GraphMetrics | None = None
    estimate: GraphEstimate | None = None
    impact: GraphImpact | None = None


class SaveGraphVersion(Contract):
    track_id: TrackId
    version: Version
    """The version whose map and beats the new one gets."""
    graph: JsonValue = None
    """Any JSON, null too: the validator says what is wrong with it."""
    if_match: list[str] | None = None
    """Tags of which the version's graph must have one; None saves in any case."""
    idempotency_key: str | None = None


class GraphVersionSaved(GraphContract):
    """The new version, which is ready: the map of the version before, this graph, its show and its signed bundle."""

    track_id: TrackId
    version: Version
    base_version: Version
    """The version that the analysis made."""
    previous_version: Version
    """The version whose map and beats it has."""
    etag: str
    """Of the graph; for `if_match` of the next edit."""
    status: Literal["ready", "warning"]
    validation: GraphValidation
    """Without errors; it may hold warnings."""
    metrics: GraphMetrics
    estimate: GraphEstimate
    warnings: list[Notice] = Field(default_factory=list[Notice])
    """Those of the map."""


class GraphEdited(Contract):
    """A person edited the graph of a version, or saved an edited graph as a new version."""

    track_id: TrackId
    version: Version
    """The version that has the graph now."""
    revision: int = Field(ge=1)
    etag: str
    previous_version: Version | None = None
    """For a new version: the one whose map and beats it has."""
    author: BeatAuthor
    at: UtcTime


class GraphSimulationStored(Contract):
    """The graph of a version was simulated: reports, previews and bundle of this run are stored."""

    track_id: TrackId
    version: Version
    revision: int = Field(ge=1)
    """Of the graph that was simulated."""
    at: UtcTime


GRAPH_VALIDATE: Final = Query(
    "rpc.catalogue.graph.validate", ValidateGraph, GraphValidated, summary="Check a graph without saving it"
)
GRAPH_SAVE_VERSION: Final = Query(
    "rpc.catalogue.graph.save_version",
    SaveGraphVersion,
    GraphVersionSaved,
    summary="Save a graph as a new version",
    role="editor",
)
GRAPH_EDITED: Final = Event(
    "graph.edited",
    GraphEdited,
    summary="The graph of a version was edited, or saved as a new version",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
    key=lambda event: f"{event.track_id}/{event.version}/{event.revision}",
)
GRAPH_SIMULATED: Final = Event(
    "graph.simulated",
    GraphSimulationStored,
    summary="The graph of a version was simulated, and the results are stored",
    senders=("catalogue",),
    receivers=("gateway",),
    stream=EVENTS,
    subject_id=lambda event: event.track_id,
    time=lambda event: event.at,
    key=lambda event: f"{event.track_id}/{event.version}/{event.at.isoformat()}",
)
