"""Reads the result of a completed analysis from the object store and checks it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from k1_catalogue.maps.map_json import parse_map
from k1_catalogue.tracks.artefact_store import NewArtefact
from k1_catalogue.tracks.artefacts import is_inlined, new_artefact, read_artefact
from k1_contracts.genesis import GenesisMap
from k1_contracts.messages.analysis import AnalysisCompleted
from k1_contracts.tracks import ArtefactRef
from k1_platform.errors import PermanentError
from k1_platform.processes.threads import in_thread
from k1_platform.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """The checked map and the artefacts of a completed analysis."""

    content: dict[str, Any]
    """The Genesis map as parsed JSON."""
    genesis: GenesisMap
    """The same map, validated."""
    artefacts: tuple[NewArtefact, ...]


async def read_result(objects: ObjectStore, event: AnalysisCompleted) -> AnalysisResult:
    """Read the map and the small JSON artefacts.

    Raises:
        PermanentError: an artefact is missing or has another hash than in the event, or the map is not valid.
        TransientError: the object store did not respond.
    """
    genesis = next((ref for ref in event.artefacts if ref.type == "genesis_map"), None)
    if genesis is None:
        raise PermanentError(
            "genesis_absent", "the completed analysis names no genesis_map among its artefacts"
        )
    artefacts = await asyncio.gather(*(_artefact(objects, ref) for ref in event.artefacts))
    content, validated = await in_thread(parse_map, await read_artefact(objects, genesis))
    return AnalysisResult(content, validated, tuple(artefacts))


async def _artefact(objects: ObjectStore, ref: ArtefactRef) -> NewArtefact:
    """Return the entry of an artefact; only the content of a small one is read."""
    return new_artefact(ref, await read_artefact(objects, ref) if is_inlined(ref) else b"")
