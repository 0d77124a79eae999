"""Builds the content of a version that a person makes: its map, its artefacts and its signed bundle."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from k1_catalogue import errors
from k1_catalogue.beats.override import BeatEdit
from k1_catalogue.graphs.graph_report import RUN_ARTEFACTS, GeneratedFile, compare_graphs, impact_file
from k1_catalogue.graphs.revisions import Baseline, GraphRevision
from k1_catalogue.graphs.show_builder import ShowBuilder
from k1_catalogue.maps.map_json import parse_map
from k1_catalogue.similarity.features import Vector, feature_vector
from k1_catalogue.tracks.artefact_store import NewArtefact, StoredArtefact
from k1_catalogue.tracks.artefacts import is_inlined, new_artefact, read_artefact
from k1_contracts.beats.grid import BeatGrid
from k1_contracts.genesis import GenesisMap
from k1_contracts.graph import GraphDocument
from k1_contracts.messages.catalogue.beats import BeatOverrideDocument
from k1_contracts.messages.catalogue.graphs import GraphSimulated, SimulateGraph
from k1_contracts.tracks import AnalysisSummary, ArtefactRef, ArtefactType, Notice, StoredFile
from k1_graph.errors import GraphError
from k1_graph.validation.validator import compile_graph
from k1_platform.nats.queries.rpc import QueryError
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore

_REMADE: Final[frozenset[ArtefactType]] = frozenset({"genesis_map", "graph_impact", *RUN_ARTEFACTS})
"""The artefacts that every new version has of its own; others are shared with the version before."""
_OF_BEATS: Final[frozenset[ArtefactType]] = frozenset({"metrics", "beat_override"})
_DOCUMENT_NAME: Final = "graph.analysis.beat_override.json"
_UNPROCESSABLE: Final = 422


@dataclass(frozen=True, slots=True)
class VersionSource:
    """What a new version is made from, read at one moment."""

    track_id: str
    version: int
    fields: dict[str, Any]
    """The fields of the edited version."""
    edit: BeatEdit | None
    """The edit of this version; None where the analysis made it."""
    base_version: int
    base: dict[str, Any]
    """The fields of the base version."""
    latest: BeatEdit | None
    """The newest edit of the line."""
    graph: GraphRevision | None
    artefacts: list[StoredArtefact]
    """Of the edited version, with the content of small ones."""
    base_artefacts: list[StoredArtefact]
    next_version: int

    @property
    def base_map(self) -> StoredFile:
        """Return the map of the analysis; raise QueryError `artefact_missing` if it was deleted."""
        return _map_among(self.base_artefacts, self.base_version)

    @property
    def own_map(self) -> StoredFile:
        """Return the map of the edited version; raise QueryError `artefact_missing` if it was deleted."""
        return _map_among(self.artefacts, self.version)


@dataclass(frozen=True, slots=True)
class NewGraph:
    """A graph of a person, and the reports that need no run of it."""

    revision: GraphRevision
    reports: tuple[GeneratedFile, ...]


@dataclass(frozen=True, slots=True)
class MadeMap:
    """The map of the new version: as a worker made it, as the analysis did, or that of the edited version."""

    summary: AnalysisSummary
    warnings: Sequence[Notice]
    files: Sequence[StoredFile]
    """The map, its metrics where the beats are others, and the files of the run."""
    show_failed: Notice | None
    grid: BeatGrid | None = None
    """The beats of the person; None where the automatic ones are back, and for another graph."""
    graph: NewGraph | None = None
    """None where the graph of the edited version stays."""

    @property
    def own_types(self) -> frozenset[ArtefactType]:
        """Return the types of artefacts that the new version does not share with the edited one."""
        if self.graph is None:
            return _REMADE | _OF_BEATS
        reports: set[ArtefactType] = {file.type for file in self.graph.reports}
        return _REMADE | reports


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything that the transaction adds."""

    content: dict[str, Any]
    """The map as parsed JSON."""
    map_sha256: str
    artefacts: tuple[NewArtefact, ...]
    warnings: tuple[Notice, ...]
    vector: Vector
    """By which similar songs are found."""


@dataclass(frozen=True, slots=True)
class VersionBuilder:
    """Builds versions and stores their files; nothing refers to these before the transaction."""

    objects: ObjectStore
    shows: ShowBuilder

    async def automatic_map(
        self,
        source: VersionSource,
        graph: GraphDocument | None,
        run_graph: Callable[[SimulateGraph], Awaitable[GraphSimulated]],
    ) -> MadeMap:
        """Return the map of the analysis, and the files of a run of the graph over it."""
        base = source.base_map
        metrics = [each for each in source.base_artefacts if each.artefact.type == "metrics"]
        files = [base, *map(_stored_file, metrics)]
        show_failed = None
        if graph is not None:
            query = SimulateGraph(genesis_key=base.key, genesis_sha256=base.sha256, graph=graph)
            try:
                files += (await run_graph(query)).files
            except QueryError as error:
                if error.status != _UNPROCESSABLE:
                    raise
                show_failed = Notice(code="graph_failed", message=str(error))
        warnings = [Notice.model_validate(warning) for warning in source.base["warnings"]]
        return MadeMap(source.base["summary"], warnings, files, show_failed)

    async def build(self, source: VersionSource, edit: BeatEdit, made: MadeMap) -> NewVersion:
        """Return the version with the number of the edit.

        Raises:
            GraphError: no bundle can be made of a new graph.
            PermanentError: a file that the worker names is missing or differs.
            TransientError: the object store did not respond.
        """
        entries = await asyncio.gather(
            *(self._entry(file, source.track_id, edit.version) for file in made.files)
        )
        map_file = next(file for file in made.files if file.type == "genesis_map")
        data = await read_artefact(self.objects, ArtefactRef.of(map_file, source.track_id, edit.version))
        content, genesis = await in_thread(parse_map, data)
        show, warnings = await self._show(source, edit, genesis, made)
        own = [] if made.grid is None else [_override_file(source.track_id, edit, made.grid)]
        generated = await self.shows.store_files([*show, *own], source.track_id, edit.version)
        copied = [
            _copy(each, source.track_id, edit.version)
            for each in source.artefacts
            if each.artefact.type not in made.own_types
        ]
        return NewVersion(
            content=content,
            map_sha256=genesis.metadata.hashes.map_sha256,
            artefacts=(*entries, *generated, *copied),
            warnings=(*made.warnings, *warnings),
            vector=await in_thread(feature_vector, genesis),
        )

    async def _entry(self, file: StoredFile, track_id: str, version: int) -> NewArtefact:
        ref = ArtefactRef.of(file, track_id, version)
        return new_artefact(ref, await read_artefact(self.objects, ref) if is_inlined(ref) else b"")

    async def _show(
        self, source: VersionSource, edit: BeatEdit, genesis: GenesisMap, made: MadeMap
    ) -> tuple[list[GeneratedFile], list[Notice]]:
        """Return the reports and the bundle.

        A graph that stays may give a warning in place of a bundle, because the beats are worth a version without it.
        """
        if made.graph is not None:
            document = GraphDocument.model_validate_json(made.graph.revision.document)
            bundle = await in_thread(self.shows.bundle_file, genesis, document, source.track_id, edit.version)
            return [*made.graph.reports, bundle], []
        if source.graph is None:
            return [], []
        if made.show_failed is not None:
            return [], [made.show_failed]
        document = source.graph.document
        try:
            return await in_thread(self._make_show, source, edit, genesis, document), []
        except GraphError as error:
            message = f"No bundle could be made of this song's show: {error}. Edit the graph."
            return [], [Notice(code="bundle_failed", message=message)]

    def _make_show(
        self, source: VersionSource, edit: BeatEdit, genesis: GenesisMap, text: str
    ) -> list[GeneratedFile]:
        document = GraphDocument.model_validate_json(text)
        baseline = Baseline(text, f"version {source.version}")
        impact = compare_graphs(document, compile_graph(document), baseline)
        return [
            impact_file(impact),
            self.shows.bundle_file(genesis, document, source.track_id, edit.version),
        ]


def _map_among(artefacts: Sequence[StoredArtefact], version: int) -> StoredFile:
    for each in artefacts:
        if each.artefact.type == "genesis_map":
            return _stored_file(each)
    raise errors.map_not_stored(version)


def _stored_file(stored: StoredArtefact) -> StoredFile:
    return StoredFile.model_validate({**stored.artefact.model_dump(), "key": stored.key})


def _copy(stored: StoredArtefact, track_id: str, version: int) -> NewArtefact:
    """Return the same file as an artefact of another version."""
    content = stored.artefact.inline_json
    text = None if content is None else json.dumps(content, separators=(",", ":"))
    return NewArtefact(ArtefactRef.of(_stored_file(stored), track_id, version), text)


def _override_file(track_id: str, edit: BeatEdit, grid: BeatGrid) -> GeneratedFile:
    info = edit.info
    assert info is not None, "an override has its figures"
    document = BeatOverrideDocument(
        **info.model_dump(),
        track_id=track_id,
        version=edit.version,
        base_version=edit.base_version,
        previous_version=edit.previous_version,
        beats_ms=list(grid.beats_ms),
        downbeats=list(grid.downbeats),
    )
    return GeneratedFile("beat_override", _DOCUMENT_NAME, document.to_json())
